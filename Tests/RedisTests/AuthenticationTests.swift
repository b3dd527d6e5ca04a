import TestSupport
import Testing

@testable import Redis

@Suite struct AuthenticationTests {
    @Test func userAndPassword() async throws {
        let server = try RedisServer.shared
        let name = server.prefix().dropLast()
        try server.redis("ACL", "SETUSER", "u\(name)", "on", ">p@ss:/1", "~*", "+@all", "-flushall")
        let path = server.socketPath
        let client = try await Client.connect("unix://u\(name):p%40ss:%2F1@\(path)?db=3")
        #expect(try await client.send("ACL", "WHOAMI").string == "u\(name)")
        #expect(try await client.send("CLIENT", "LIST", "ID", client.connectionID()).string?.contains(" db=3 ") == true)
        await #expect { try await client.send("FLUSHALL") } throws: { error in
            guard case .server(code: "NOPERM", _)? = error as? RedisError else { return false }
            return true
        }
    }

    @Test func defaultUserWithPassword() async throws {
        let server = try RedisServer(options: .init(arguments: ["--requirepass", "geheim"]))
        let client = try await Client.connect("unix://:geheim@\(server.socketPath)")
        #expect(try await client.send("PING") == .status("PONG"))
        // On leased connections as well.
        let outcome = try await client.run {
            try await $0.transaction(key: "k", budgetUs: longestWaitUs) { transaction in
                transaction.queue(["SET", "k", "1"])
                return await transaction.exec()
            }
        }
        #expect(outcome == .done([.status("OK")]))
    }

    @Test(arguments: [
        (":geheim2@", "WRONGPASS"), ("ann:geheim@", "WRONGPASS"), ("", "NOAUTH"),
    ])
    func refusedAndSaysWhy(_ credentials: String, _ code: String) async throws {
        let server = try RedisServer(options: .init(arguments: ["--requirepass", "geheim"]))
        let client = try await Client.start("unix://\(credentials)\(server.socketPath)")
        #expect(await eventually { (try? await client.run { $0.lastError }) != nil })
        guard case .server(code, let message)? = try await client.run({ $0.lastError }) else {
            Issue.record("another error")
            return
        }
        #expect(!message.contains("geheim"))
        #expect(try await client.run { $0.isReady } == false)
    }

    @Test func aDatabaseThatDoesNotExist() async throws {
        let server = try RedisServer.shared
        let client = try await Client.start(server.url + "?db=16")
        #expect(await eventually { (try? await client.run { $0.lastError }) != nil })
        #expect(try await client.run { $0.isReady } == false)
    }
}
