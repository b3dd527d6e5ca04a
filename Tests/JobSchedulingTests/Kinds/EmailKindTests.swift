import JSON
import JobScheduling
import TestSupport
import Testing

struct EmailKindTests {
    private static func trial(_ peer: SMTPPeer, from: String? = "Shop <shop@example.com>") -> KindTrial<EmailKind> {
        var settings = ["smtp-url": peer.url]
        settings["smtp-from"] = from
        return KindTrial(settings)
    }

    private static let plain = #"{"to": "bob@example.org", "subject": "Hello", "text": "Hello,\nBob"}"#

    @Test func aMessageIsSent() async throws {
        let peer = try SMTPPeer()
        let config = """
            {"to": ["Bob <bob@example.org>", "carol@example.org"], "cc": ["dave@example.org"], "bcc": "eve@example.org",
             "from": "me@example.net", "replyTo": "no-reply@example.net", "subject": "Grüße", "text": "a", "html": "<p>a"}
            """
        let result = try #require(await EmailKindTests.trial(peer).run(config))
        #expect(result["reply"]?.text == "250 2.0.0 taken as 42")
        let id = try #require(result["messageId"]?.text)
        #expect(id.hasPrefix("<default-000000000007.") && id.hasSuffix("@example.net>"))
        let heard = peer.heard.all
        #expect(heard.contains("MAIL FROM:<me@example.net>"))
        #expect(
            heard.filter { $0.hasPrefix("RCPT") }.map { $0.dropFirst(8) } == [
                "<bob@example.org>", "<carol@example.org>", "<dave@example.org>", "<eve@example.org>",
            ])
        let message = peer.messages.all[0]
        for line in [
            "From: me@example.net", "Reply-To: no-reply@example.net", "Cc: dave@example.org", "Message-ID: \(id)",
            "Subject: =?UTF-8?B?R3LDvMOfZQ==?=", "To: \"Bob\" <bob@example.org>,",
        ] { #expect(message.contains(line + "\n"), "\(line)") }
        #expect(message.contains("multipart/alternative") && !message.contains("eve@"))
    }

    @Test func anAttemptMoreIsTheSameMessage() async throws {
        let peer = try SMTPPeer()
        let trial = EmailKindTests.trial(peer)
        let first = try await trial.run(EmailKindTests.plain)
        let second = try await trial.run(EmailKindTests.plain, attempt: 2)
        let other = try await trial.run(EmailKindTests.plain.replacing("Hello,", with: "Hallo,"))
        #expect(first?["messageId"] == second?["messageId"] && first?["messageId"] != other?["messageId"])
        #expect(peer.messages.all[0].contains("From: \"Shop\" <shop@example.com>\n"))
    }

    @Test(arguments: [("450 greylisted", false), ("421 busy", false), ("550 5.1.1 nobody", true), ("554 spam", true)])
    func theServersWordDecides(_ reply: String, _ isPermanent: Bool) async throws {
        let peer = try SMTPPeer { $0.hasPrefix("RCPT") ? reply : nil }
        let failure = try await EmailKindTests.trial(peer).failure(EmailKindTests.plain)
        #expect(failure == JobFailure("the mail server said: \(reply)", isPermanent: isPermanent))
    }

    @Test func aServerThatIsAwayIsTriedAgain() async throws {
        let secret = KindTrial<EmailKind>([
            "smtp-url": "smtp://user:s3cret@127.0.0.1:\(try freePort())", "smtp-from": "a@example.com",
        ])
        let failure = try #require(await secret.failure(EmailKindTests.plain))
        #expect(!failure.isPermanent && !failure.message.contains("s3cret") && !failure.message.contains("user"))
        let none = KindTrial<EmailKind>(["smtp-from": "a@example.com"])
        #expect(try await none.failure(EmailKindTests.plain)?.isPermanent == true)
    }

    @Test func cancellingEndsTheSending() async throws {
        let peer = try SMTPPeer { $0 == "DATA" ? "" : nil }
        await #expect(throws: JobCancelled.self) {
            try await EmailKindTests.trial(peer).run(EmailKindTests.plain, when: { peer.heard.all.contains("DATA") })
        }
        #expect(await eventually { peer.ended.count == 1 })
        #expect(peer.messages.count == 0)
    }

    @Test(arguments: [
        (#"{"subject": "a", "text": "b"}"#, "config.to"), (#"{"to": "a@b", "text": "b"}"#, "config.subject"),
        (#"{"to": "a@b", "subject": "a"}"#, "config.text"), (#"{"to": "a", "subject": "a", "text": "b"}"#, "config.to"),
        (#"{"to": "a@b\r\nDATA", "subject": "a", "text": "b"}"#, "config.to"),
        (#"{"to": ["a@b", "c@d>"], "subject": "a", "text": "b"}"#, "config.to"),
        (#"{"to": "a@b", "subject": "a\r\nBcc: c@d", "text": "b"}"#, "config.subject"),
        (#"{"to": "a@b", "subject": "a", "text": 1}"#, "config.text"),
        (#"{"to": "a@b", "subject": "a", "text": "b", "from": ["a@b", "c@d"]}"#, "config.from"),
        (#"{"to": "a@b", "subject": "a", "text": "b", "attachment": "c"}"#, "config.attachment"),
    ])
    func configsAreChecked(_ config: String, _ field: String) async throws {
        let trial = KindTrial<EmailKind>(["smtp-from": "a@example.com"])
        #expect(try await trial.refusal(config)?.field == field)
    }

    @Test func settingsAreChecked() async throws {
        #expect(await !KindTrial<EmailKind>(["smtp-url": "http://a"]).isMade())
        #expect(await !KindTrial<EmailKind>(["smtp-from": "nobody"]).isMade())
        // Without the setting a job says who it is from.
        #expect(try await KindTrial<EmailKind>().refusal(EmailKindTests.plain)?.field == "config.from")
    }

    @Test func aJobSendsAfterARefusalThatPasses() async throws {
        let count = Journal<Int>()
        let peer = try SMTPPeer { line in
            guard line.hasPrefix("RCPT") else { return nil }
            count.add(0)
            return count.count == 1 ? "450 later" : nil
        }
        let server = try JobServer(settings: ["smtp-url": peer.url, "smtp-from": "a@example.com"])
        let id = try server.create(
            #"{"name":"a","type":"email_sending","backoff":{"baseMs":10},"config":\#(EmailKindTests.plain)}"#)
        try await server.awaits(id, "completed")
        #expect(try server.history(id).map { $0["status"]?.text } == ["failed", "completed"])
        #expect(peer.messages.count == 1)
    }
}
