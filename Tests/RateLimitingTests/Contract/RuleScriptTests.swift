import Redis
import TestSupport
import Testing

@testable import RateLimiting

/// rules_change and rules_read: one step per change, told to those who listen, or nothing at all.
@Suite struct RuleScriptTests {
    private struct Store {
        let redis: ScriptRedis
        let base: String

        init() async throws {
            redis = try await .shared
            base = try RedisServer.shared.prefix() + "ratelimit:{rules}:"
        }

        var keys: [String] { ["rules", "revision", "changes", "applied", "record"].map { base + $0 } }

        func change(
            at revision: Int, _ parts: [[String]], digest: String = "", answer: String = "", kept: Int = 1000
        ) async throws -> [String] {
            let reply = try await redis.run(
                RedisStep(
                    script: RateLimitScripts.rulesChange, keys: keys,
                    words: [String(revision), base + "channel", String(kept), digest, answer, "60000"]
                        + parts.flatMap { $0 }))
            guard case .array(let parts) = reply else { throw SetUpFailure("\(reply)") }
            return parts.map { $0.string ?? String($0.int ?? -1) }
        }

        /// Without the time of the reading, which is checked to be one.
        func read() async throws -> [String] {
            let reply = try await redis.run(
                RedisStep(script: RateLimitScripts.rulesRead, keys: Array(keys.prefix(3)), words: []))
            guard case .array(let parts) = reply else { throw SetUpFailure("\(reply)") }
            var texts = parts.map { $0.string ?? String($0.int ?? -1) }
            let time = try #require(Int(texts.remove(at: 2)))
            #expect((1_700_000_000_000_000...4_102_444_800_000_000).contains(time))
            return texts
        }
    }

    @Test func aChange() async throws {
        let store = try await Store()
        #expect(try await store.read() == ["0", "0-0"])
        let first = try await store.change(at: 0, [["put", "a", "{1}"], ["put", "b", "{2}"]])
        #expect(first == ["changed", "1"])
        let second = try await store.change(at: 1, [["delete", "a", ""], ["put", "b", "{3}"]])
        #expect(second == ["changed", "2"])

        let all = try await store.read()
        #expect(all[0] == "2")
        #expect(Array(all.dropFirst(2)) == ["b", "{3}"])
        guard case .array(let entries) = try await store.redis.run(.command("XRANGE", store.keys[2], "-", "+")),
            case .array(let entry)? = entries.last
        else { throw SetUpFailure("XRANGE") }
        #expect(entries.count == 2)
        #expect(entry[0].string == all[1])
        #expect(
            entry[1].strings
                == ["revision", "2", "op", "delete", "id", "a", "rule", "", "op", "put", "id", "b", "rule", "{3}"])
    }

    @Test func aStaleChangeDoesNothing() async throws {
        let store = try await Store()
        _ = try await store.change(at: 0, [["put", "a", "{1}"]])
        let before = try await store.read()
        for revision in [0, 2] {
            let late = try await store.change(
                at: revision, [["put", "b", "{2}"]], digest: "d", answer: "{}")
            #expect(late == ["stale", "1"])
        }
        #expect(try await store.read() == before)
        #expect(try await store.redis.number("EXISTS", store.keys[3], store.keys[4]) == 0)
    }

    /// A file's content is applied once, whatever the revision is by then.
    @Test func aFileIsAppliedOnce() async throws {
        let store = try await Store()
        #expect(try await store.change(at: 0, [["put", "a", "{1}"]], digest: "sha") == ["changed", "1"])
        #expect(try await store.change(at: 1, [["delete", "a", ""]]) == ["changed", "2"])
        for revision in [0, 2] {
            let again = try await store.change(at: revision, [["put", "a", "{1}"]], digest: "sha")
            #expect(again == ["already-applied", "2"])
        }
        #expect(try await store.read().count == 2)
        #expect(try await store.redis.number("HEXISTS", store.keys[3], "sha") == 1)
    }

    /// The answer under an idempotency key stands, and is written in the same step as its effect.
    @Test func anAnswerIsRecorded() async throws {
        let store = try await Store()
        #expect(try await store.change(at: 0, [["put", "a", "{1}"]], answer: "first") == ["changed", "1"])
        #expect(try await store.change(at: 1, [["put", "a", "{2}"]], answer: "second") == ["answered", "1"])
        #expect(try await store.redis.text("GET", store.keys[4]) == "first")
        #expect((1...60_000).contains(try await store.redis.number("PTTL", store.keys[4])))
        #expect(Array(try await store.read().dropFirst(2)) == ["a", "{1}"])
        // Changes without a key do not look at the record.
        #expect(try await store.change(at: 1, [["put", "a", "{2}"]]) == ["changed", "2"])
    }

    @Test func aChangeIsPublished() async throws {
        let store = try await Store()
        let listener = try RedisServer.shared.connect()
        try listener.command(["SUBSCRIBE", store.base + "channel"])
        _ = try await store.change(at: 7, [["put", "a", "{0}"]])
        _ = try await store.change(at: 0, [["put", "a", "{1}"]])
        // The stale one was not published.
        #expect(try listener.readReply().elements.map(\.text) == ["message", store.base + "channel", "1"])
    }

    @Test func theStreamIsBounded() async throws {
        let store = try await Store()
        for revision in 0..<400 { _ = try await store.change(at: revision, [["put", "a", "{}"]], kept: 10) }
        // Redis drops whole nodes of a hundred entries.
        #expect(try await store.redis.number("XLEN", store.keys[2]) <= 200)
        #expect(try await store.read()[0] == "400")
    }

    /// A large file is one step; its stream entry tells the revision only.
    @Test func tenThousandRules() async throws {
        let store = try await Store()
        let reply = try await store.change(at: 0, (0..<10_000).map { ["put", "rule-\($0)", "{}"] }, digest: "d")
        #expect(reply == ["changed", "1"])
        let all = try await store.read()
        #expect(all.count == 2 + 20_000)
        guard case .array(let entries) = try await store.redis.run(.command("XRANGE", store.keys[2], "-", "+")),
            case .array(let entry)? = entries.last
        else { throw SetUpFailure("XRANGE") }
        #expect(entry[1].strings == ["revision", "1"])
    }
}
