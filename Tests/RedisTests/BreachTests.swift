import Bytes
import EventLoops
import TestSupport
import Testing

@testable import Redis

/// Servers, or what stands before them, that do not keep to the protocol: their connection ends, we go on.
@Suite struct BreachTests {
    /// What is sent on a connection once it is ready to be used.
    @Test(
        arguments: [
            // An answer to nothing.
            "+OK\r\n", "$3\r\nabc\r\n", "*0\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
            "-ERR max number of clients\r\n",
            String(repeating: "+OK\r\n", count: 10_000),
            // What is not the protocol.
            "HTTP/1.1 400 Bad Request\r\n\r\n", "\u{0}\u{1}\u{2}\r\n", "$-5\r\n", "*-7\r\n", "$x\r\n", ":\r\n",
            String(repeating: "*1\r\n", count: 100) + "+x\r\n",
            // What is announced is more than anybody has.
            "*2147483647\r\n", "*99999999999999999999\r\n",
        ])
    func whatIsSentUnasked(_ bytes: String) async throws {
        let peer = try ScriptedPeer { socket, _ in
            try BreachTests.letIn(socket)
            try socket.send(Array(bytes.utf8))
            _ = try socket.read(1)
        }
        let client = try await Client.start("redis://127.0.0.1:\(peer.port)")
        let reasons = Journal<RedisError>()
        try await client.run { $0.onBreach = { _, reason in reasons.add(reason) } }
        #expect(await eventually { reasons.count > 1 })
        switch reasons.all[0] {
        case .unexpectedReply, .server: break
        case let other: Issue.record("\(other)")
        }
        await #expect(throws: RedisError.self) { try await client.send("GET", "k", budgetUs: 20_000) }
    }

    /// It answers each command twice from the first on.
    @Test func answersMoreThanItIsAsked() async throws {
        let peer = try ScriptedPeer { socket, _ in
            while true {
                _ = try BreachTests.command(socket)
                try socket.send(Array("+OK\r\n+OK\r\n".utf8))
            }
        }
        let client = try await Client.start("redis://127.0.0.1:\(peer.port)")
        #expect(await client.isReady(within: 300_000) == false)
        await #expect(throws: RedisError.unavailable) { try await client.send("PING") }
    }

    /// A reply of another shape than the command's is read as if it were empty.
    @Test func aReplyHasNoElementsBeyondItsOwn() async throws {
        let server = try RedisServer.shared
        let client = try await Client.connect(server.url)
        let seen = Journal<String>()
        try await client.run { client in
            client.submit(
                Looking {
                    guard case .success(let reply) = $0 else { return }
                    seen.add("\(reply[7].isNull) \(reply[0][-1].count) \(reply[0].integer)")
                }, budgetUs: longestWaitUs)
        }
        #expect(await eventually { seen.all == ["true 0 0"] })
    }

    private final class Looking: RedisCall {
        private let look: (Result<ReplyView, RedisError>) -> Void

        init(_ look: @escaping (Result<ReplyView, RedisError>) -> Void) { self.look = look }

        var route: RedisRoute { .any }

        func encode(to writer: RESPWriter) {
            writer.command(1)
            writer.argument("PING" as StaticString)
        }

        func completed(_ result: Result<ReplyView, RedisError>) { look(result) }
    }

    /// The words of the next command.
    static func command(_ socket: BlockingSocket) throws -> [String] {
        let head = try socket.readLine()
        guard head.hasPrefix("*"), let count = Int(head.dropFirst()) else { throw SetUpFailure("no command: \(head)") }
        return try (0..<count).map { _ in
            guard let length = Int(try socket.readLine().dropFirst()) else { throw SetUpFailure("no length") }
            let word = String(decoding: try socket.read(length), as: UTF8.self)
            _ = try socket.read(2)
            return word
        }
    }

    /// Plays a Redis up to the last command of a handshake without scripts.
    static func letIn(_ socket: BlockingSocket) throws {
        while true {
            guard try command(socket)[0] == "INFO" else {
                try socket.send(Array("+OK\r\n".utf8))
                continue
            }
            let info = "redis_version:7.2.0\r\nrun_id:x\r\n"
            return try socket.send(Array("$\(info.utf8.count)\r\n\(info)\r\n".utf8))
        }
    }
}
