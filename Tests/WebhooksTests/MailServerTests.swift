import EventLoops
import Glibc
import TestSupport
import Testing

@testable import Webhooks

struct MailServerTests {
    private static func mail(to: [String] = ["bob@example.org"]) -> Mail {
        Mail(
            from: Mailbox("ada@example.com")!, to: to.map { Mailbox($0)! }, subject: "Grüße", text: "a\n.\nb",
            messageID: "1", dateUs: 0)
    }

    @Test func theConversationIsAsItShouldBe() async throws {
        let peer = try SMTPPeer()
        let client = try await client(mailThreads: 1)
        var mail = MailServerTests.mail()
        mail.bcc = [Mailbox("Dave <dave@example.org>")!]
        let receipt = try await client.send(mail, by: peer.url).get()
        #expect(receipt.reply == "250 2.0.0 taken as 42")
        #expect(try await client.send(MailServerTests.mail(), by: peer.url).get() == receipt)
        let heard = peer.heard.all
        #expect(heard[0].hasPrefix("EHLO "))
        #expect(
            heard.dropFirst() == [
                "MAIL FROM:<ada@example.com>", "RCPT TO:<bob@example.org>", "RCPT TO:<dave@example.org>", "DATA",
                // The connection is used again.
                "MAIL FROM:<ada@example.com>", "RCPT TO:<bob@example.org>", "DATA",
            ])
        #expect(peer.messages.all == [mail, MailServerTests.mail()].map { $0.message.replacing("\r\n", with: "\n") })
    }

    @Test(arguments: [
        ("", "421 busy", 421), ("", "554 no", 554), ("MAIL", "451 later", 451), ("MAIL", "553 not you", 553),
        ("RCPT", "450 4.2.1 greylisted", 450), ("RCPT", "550 5.1.1 no such user", 550), ("DATA", "552 full", 552),
        (".", "554 5.7.1 spam", 554), (".", "452 4.3.1 disk", 452),
    ])
    func refusalsAreTold(_ command: String, _ reply: String, _ code: Int) async throws {
        let peer = try SMTPPeer { $0.prefix(4) == command ? reply : nil }
        let result = try await client().send(MailServerTests.mail(), by: peer.url)
        guard case .failure(.replied(let told, let text)) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(told == code && text == reply)
        #expect(peer.messages.count == 0)
    }

    /// One of two refused: neither gets it, so that trying again is no second mail to the other.
    @Test func allOrNoneGetIt() async throws {
        let peer = try SMTPPeer { $0 == "RCPT TO:<b@example.org>" ? "450 later" : nil }
        let mail = MailServerTests.mail(to: ["a@example.org", "b@example.org", "c@example.org"])
        let result = try await client().send(mail, by: peer.url)
        #expect(throws: OutgoingError.replied(code: 450, "450 later")) { try result.get() }
        #expect(!peer.heard.all.contains("DATA") && peer.messages.count == 0)
    }

    @Test func passwordsNeverTravelInTheOpen() async throws {
        // user and pass@word, each after a NUL.
        let secret = "AHVzZXIAcGFzc0B3b3Jk"
        let peer = try SMTPPeer { line in
            switch line {
            case "AUTH PLAIN": "334 "
            case secret: "235 welcome"
            default: line.hasPrefix("EHLO") ? "250-peer\r\n250 AUTH PLAIN" : nil
            }
        }
        let url = "smtp://user:pass%40word@127.0.0.1:\(peer.port)"
        guard case .failure(.unreachable) = try await client().send(MailServerTests.mail(), by: url) else {
            Issue.record("it went on")
            return
        }
        #expect(peer.heard.all.allSatisfy { $0.hasPrefix("EHLO") || $0 == "QUIT" })
        // Unless the operator says so, for a server of the same machine.
        _ = try await client().send(MailServerTests.mail(), by: url + "?starttls=never").get()
        #expect(peer.heard.all.contains(secret))
        #expect(try MailServer(url).description == "smtp://127.0.0.1:\(peer.port)")
    }

    @Test(arguments: ["", "EHLO", "DATA", "."])
    func cancellingASilentServerEndsAtOnce(_ command: String) async throws {
        let peer = try SMTPPeer { $0.prefix(4) == command ? "" : nil }
        let client = try await client()
        let server = try MailServer(peer.url)
        // It would be waited for for a minute, and then have timed out.
        let result = try await client.run { client in
            let cancellation = OutgoingCancellation()
            let loop = EventLoop.current!
            loop.spawn {
                while peer.begun.count == 0 { await loop.sleep(us: 10_000) }
                cancellation.cancel()
            }
            return await client.send(MailServerTests.mail(), by: server, cancellation: cancellation)
        }
        #expect(throws: OutgoingError.cancelled) { try result.get() }
        #expect(await eventually { peer.ended.count == 1 })
    }

    @Test func aSilentServerTimesOut() async throws {
        let peer = try SMTPPeer { $0 == "DATA" ? "" : nil }
        var mail = MailServerTests.mail()
        mail.timeoutMs = 150
        let result = try await client().send(mail, by: peer.url)
        #expect(throws: OutgoingError.timedOut) { try result.get() }
    }

    @Test(arguments: ["", "MAIL", "."])
    func aSilentServerDoesNotHoldTheLoop(_ command: String) async throws {
        let peer = try SMTPPeer { $0.prefix(4) == command ? "" : nil }
        let client = try await client()
        let server = try MailServer(peer.url)
        // By the loop's own clock: when a test goes on, is for a busy machine to say.
        let tookUs = try await client.run { client in
            let loop = EventLoop.current!
            let startUs = loop.nowUs
            let cancellation = OutgoingCancellation()
            loop.spawn { _ = await client.send(MailServerTests.mail(), by: server, cancellation: cancellation) }
            for _ in 0..<50 { await loop.sleep(us: 2000) }
            cancellation.cancel()
            return loop.nowUs - startUs
        }
        #expect(tookUs < 30_000_000)
    }

    /// More than there are threads, none of them answered.
    @Test func thoseThatWaitForAThreadEndInTime() async throws {
        let peer = try SMTPPeer { $0.isEmpty ? "" : nil }
        let client = try await client()
        let results = try await withThrowingTaskGroup(of: Result<MailReceipt, OutgoingError>.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    var mail = MailServerTests.mail()
                    mail.timeoutMs = 300
                    return try await client.send(mail, by: peer.url)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.allSatisfy { $0 == .failure(.timedOut) })
        #expect(await eventually { peer.ended.count == peer.begun.count })
    }

    @Test(arguments: [
        "", "mail.example", "http://mail.example", "smtp://", "smtp:///", "smtp://mail.example/path", "smtp://a b",
        "smtp://mail.example?starttls=maybe", "smtp://mail.example#x",
    ])
    func wrongURLsAreRefused(_ text: String) { #expect(throws: MailServer.Malformed.self) { try MailServer(text) } }
}

/// Against a server that others have written.
struct RealMailServerTests {
    @Test func aMessageArrives() async throws {
        let server = try RealMailServer()
        let mail = RealMailServerTests.mail
        _ = try await client().send(mail, by: "smtp://127.0.0.1:\(server.port)").get()
        let printed = server.printed
        #expect(printed.contains("Subject: =?UTF-8?B?R3LDvMOfZQ==?="))
        #expect(printed.contains("Message-ID: <7@example.com>") && printed.contains("X-Peer: "))
    }

    @Test func startTLSIsUsedWhereItIsOfferedAndTheCertificateVerified() async throws {
        let server = try RealMailServer(name: "mail.example")
        let names = ["mail.example:\(server.port):127.0.0.1"]
        let url = "smtp://mail.example:\(server.port)"
        let stranger = try await client(fixedNames: names)
        guard case .failure(.unreachable) = try await stranger.send(RealMailServerTests.mail, by: url) else {
            Issue.record("a stranger's certificate was taken")
            return
        }
        let friend = try await client(fixedNames: names, authorities: server.certificate)
        for query in ["", "?starttls=required"] {
            _ = try await friend.send(RealMailServerTests.mail, by: url + query).get()
        }
        // It takes no mail without TLS.
        let plain = try await friend.send(RealMailServerTests.mail, by: url + "?starttls=never")
        guard case .failure(.replied(530, _)) = plain else {
            Issue.record("\(plain)")
            return
        }
    }

    private static let mail = Mail(
        from: Mailbox("ada@example.com")!, to: [Mailbox("bob@example.org")!], subject: "Grüße", text: "Grüße,\n\nAda",
        messageID: "7", dateUs: 0)
}

/// Debian's python3-aiosmtpd, printing what it gets.
private final class RealMailServer {
    let port: Int
    let certificate: String?
    private let folder: TemporaryFolder
    private let process: ChildProcess

    /// - Parameter name: offers STARTTLS, and takes no mail without, with a certificate for this name.
    init(name: String? = nil) throws {
        let folder = try TemporaryFolder()
        self.folder = folder
        let files = try name.map { try TestCertificate(name: $0, in: folder.path) }
        certificate = files?.certificate
        let port = try freePort()
        self.port = port
        let security = files.map { ["--tlscert", $0.certificate, "--tlskey", $0.key] } ?? []
        process = try ChildProcess(
            ["env", "PYTHONUNBUFFERED=1", "aiosmtpd", "-n", "-l", "127.0.0.1:\(port)"] + security,
            output: folder.path + "/mail.log")
        let isUp = blockingUntil {
            (try? BlockingSocket(.tcp(host: "127.0.0.1", port: port)).readLine().hasPrefix("220 ")) == true
        }
        guard isUp else { throw SetUpFailure("aiosmtpd does not start: \(printed)") }
    }

    var printed: String {
        guard let file = fopen(folder.path + "/mail.log", "r") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 100_000)
        return String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
    }
}
