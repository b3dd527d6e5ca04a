import Testing

@testable import Webhooks

struct MailboxTests {
    @Test(arguments: [
        ("ada@example.com", nil, "ada@example.com"),
        ("Ada Lovelace <ada@example.com>", "Ada Lovelace", "ada@example.com"),
        ("\"Lovelace, Ada\" <a.b+c@x-y.example>", "Lovelace, Ada", "a.b+c@x-y.example"), ("<a@b>", nil, "a@b"),
        ("Ä Ö <a@b.example>", "Ä Ö", "a@b.example"),
    ])
    func addressesAreRead(_ text: String, _ name: String?, _ address: String) throws {
        let mailbox = try #require(Mailbox(text))
        #expect(mailbox.name == name && mailbox.address == address)
    }

    @Test(arguments: [
        "", "a", "@b", "a@", "a@b@", "a b@c", "a@b c", "a@-b", "a@b-", "a@b..c", ".a@b", "a.@b", "a@b\r\nRCPT TO:<c@d>",
        "A <a@b> x", "<a@b>,<c@d>", "a@b,c@d", "a@b>", "A <a@b\n>", "A\r\nBcc: x <a@b>", "ä@b", "a@ä", "\"a b\"@c",
        "a@[127.0.0.1]",
        "A <a@b\0>",
    ])
    func othersAreRefused(_ text: String) { #expect(Mailbox(text) == nil) }
}

struct MailTests {
    private static func mail(_ subject: String = "Hello", text: String? = "a\nb", html: String? = nil) -> Mail {
        Mail(
            from: Mailbox("Ada <ada@example.com>")!, to: [Mailbox("bob@example.org")!], subject: subject, text: text,
            html: html, messageID: "default-000000000001.1f", dateUs: 1_795_388_700_123_456)
    }

    @Test func aMessageHasItsHeadersAndText() {
        #expect(
            MailTests.mail().message == """
                Date: Sun, 22 Nov 2026 23:05:00 +0000\r
                From: "Ada" <ada@example.com>\r
                To: bob@example.org\r
                Subject: Hello\r
                Message-ID: <default-000000000001.1f@example.com>\r
                Auto-Submitted: auto-generated\r
                MIME-Version: 1.0\r
                Content-Type: text/plain; charset=utf-8\r
                Content-Transfer-Encoding: base64\r
                \r
                YQ0KYg==\r

                """)
    }

    @Test func bothTextsAreAlternatives() {
        let message = MailTests.mail(text: "Grüße", html: "<p>Grüße</p>").message
        let parts = message.split(separator: "--=_alternative", omittingEmptySubsequences: false)
        #expect(parts.count == 4 && parts[3] == "--\r\n")
        #expect(parts[0].contains("Content-Type: multipart/alternative; boundary=\"=_alternative\"\r\n\r\n"))
        #expect(parts[1].contains("text/plain") && parts[1].hasSuffix("R3LDvMOfZQ==\r\n"))
        #expect(parts[2].contains("text/html") && parts[2].hasSuffix("PHA+R3LDvMOfZTwvcD4=\r\n"))
    }

    @Test func blindRecipientsAreNotNamed() {
        var mail = MailTests.mail()
        mail.cc = [Mailbox("Carol \"C\" <carol@example.org>")!, Mailbox("BOB@example.org")!]
        mail.bcc = [Mailbox("dave@example.org")!, Mailbox("bob@example.org")!]
        mail.replyTo = Mailbox("eve@example.org")
        #expect(mail.recipients == ["bob@example.org", "carol@example.org", "BOB@example.org", "dave@example.org"])
        #expect(!mail.message.contains("dave"))
        #expect(mail.message.contains("\r\nCc: \"Carol \\\"C\\\"\" <carol@example.org>,\r\n BOB@example.org\r\n"))
        #expect(mail.message.contains("\r\nReply-To: eve@example.org\r\n"))
        mail.to = []
        mail.cc = []
        #expect(mail.message.contains("\r\nTo: undisclosed-recipients:;\r\n"))
    }

    /// Whatever a subject or a name holds, there is no line of the head but ours, none is too long, and all is ASCII.
    @Test(arguments: [
        "a\r\nBcc: evil@example.com", "a\nb", "a\r", "a\u{0}b", "=?UTF-8?B?YQ==?=",
        "Grüße " + String(repeating: "äöü", count: 100),
        String(repeating: "x", count: 900), "", " a ", "\u{2028}a", "👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦",
    ])
    func headersCannotBeInjected(_ text: String) throws {
        var mail = MailTests.mail(text)
        mail.replyTo = Mailbox("\(text) <a@b.example>")
        let head = mail.message.prefix(upTo: mail.message.firstRange(of: "\r\n\r\n")!.lowerBound)
        let names = [
            "Date", "From", "Reply-To", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
            "Content-Transfer-Encoding",
        ]
        for line in head.split(separator: "\r\n", omittingEmptySubsequences: false) {
            #expect(line.hasPrefix(" =?UTF-8?B?") || names.contains { line.hasPrefix($0 + ": ") }, "\(line)")
            #expect(line.utf8.count <= 100 && line.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "\(line)")
        }
        let words = MailEncoding.unstructured(text).split(separator: "\r\n ")
        #expect(words.allSatisfy { $0.utf8.count <= 75 })
    }

    @Test func base64IsAsItShouldBe() {
        let vectors = [
            "": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "fooba": "Zm9vYmE=",
            "foobar": "Zm9vYmFy",
        ]
        for (plain, encoded) in vectors { #expect(MailEncoding.base64(Array(plain.utf8)) == encoded) }
        #expect(MailEncoding.base64([0xFB, 0xFF, 0xFE]) == "+//+")
        let lines = MailEncoding.base64Lines([UInt8](repeating: 0, count: 58)).split(separator: "\r\n")
        #expect(lines.map(\.count) == [76, 4])
    }

    @Test func linesEndAsMailWantsThem() {
        #expect(MailEncoding.withLineEnds("a\nb\r\nc\rd\n\r") == "a\r\nb\r\nc\r\nd\r\n\r\n")
    }
}
