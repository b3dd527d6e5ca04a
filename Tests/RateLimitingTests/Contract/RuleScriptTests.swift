import Redis
import TestSupport
import Testing

@testable import RateLimiting

/// rules_change, rules_read, rules_page and rules_restore: one step per change, told to those who listen, or nothing at all.
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

        /// What rules_read says, without the time of the reading, which is checked to be one.
        func news(since revision: String = "", _ last: String = "") async throws -> [String] {
            var texts = try await run(RateLimitScripts.rulesRead, keys.prefix(3), [revision, last])
            let time = try #require(Int(texts.remove(at: 2)))
            #expect((1_700_000_000_000_000...4_102_444_800_000_000).contains(time))
            return texts
        }

        /// The revision, the last entry of the stream, and the rules with their ids.
        func read() async throws -> [String] {
            let news = try await news()
            #expect(news[0] == news[2] && news[4] == "ids")
            let ids = news.dropFirst(5).sorted()
            #expect(news[3] == String(ids.count))
            let rules = ids.isEmpty ? [] : try await run(RateLimitScripts.rulesPage, keys.prefix(1), ids)
            return Array(news.prefix(2)) + zip(ids, rules).flatMap { [$0, $1] }
        }

        func restore(_ revision: Int, _ rules: [String], digest: String = "") async throws -> String? {
            let words = [String(revision), base + "channel", digest] + rules
            return try await redis.run(
                RedisStep(script: RateLimitScripts.rulesRestore, keys: Array(keys.prefix(4)), words: words)
            ).string
        }

        private func run(_ script: Script, _ keys: ArraySlice<String>, _ words: [String]) async throws -> [String] {
            let reply = try await redis.run(RedisStep(script: script, keys: Array(keys), words: words))
            guard case .array(let parts) = reply else { throw SetUpFailure("\(reply)") }
            return parts.map { $0.string ?? String($0.int ?? -1) }
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
        #expect(try await store.news().count == 5 + 10_000)
        let all = try await store.news(since: "0", "0-0")
        #expect(all.count == 5 + 10_000 && all[4] == "ids", "an entry without its parts tells no changes")
        guard case .array(let entries) = try await store.redis.run(.command("XRANGE", store.keys[2], "-", "+")),
            case .array(let entry)? = entries.last
        else { throw SetUpFailure("XRANGE") }
        #expect(entry[1].strings == ["revision", "1"])
    }

    /// What a caller that knows a revision is told: the changes since, as long as the stream has all of them.
    @Test func whatHasChanged() async throws {
        let store = try await Store()
        #expect(try await store.news(since: "0", "0-0") == ["0", "0-0", "0", "0", "changes"])
        _ = try await store.change(at: 0, [["put", "a", "{1}"], ["put", "b", "{2}"]])
        let first = try await store.news(since: "0", "0-0")
        #expect(first == ["1", first[1], "1", "2", "changes", "a", "{1}", "b", "{2}"])
        _ = try await store.change(at: 1, [["delete", "a", ""]])
        _ = try await store.change(at: 2, [["put", "b", "{3}"]])
        let later = try await store.news(since: "1", first[1])
        #expect(later == ["3", later[1], "3", "1", "changes", "a", "", "b", "{3}"])
        #expect(try await store.news(since: "3", later[1]) == ["3", later[1], "3", "1", "changes"])
        // Another entry than the known one, a revision that is not there yet, and one without an entry.
        let all = ["3", later[1], "3", "1", "ids", "b"]
        #expect(try await store.news(since: "3", first[1]) == all)
        #expect(try await store.news(since: "9", later[1]) == all)
        _ = try await store.redis.number("INCR", store.keys[1])
        #expect(try await store.news(since: "3", later[1]) == ["4", later[1], "4", "1", "ids", "b"])
        _ = try await store.redis.number("DEL", store.keys[2])
        #expect(try await store.news(since: "1", first[1]) == ["4", "0-0", "4", "1", "ids", "b"])
    }

    /// Replies are bounded: a caller comes back for the rest.
    @Test func muchIsReadInParts() async throws {
        let store = try await Store()
        let long = String(repeating: "x", count: 100_000)
        for i in 0..<5 { _ = try await store.change(at: i, [["put", "r\(i)", long]]) }
        let part = try await store.news(since: "0", "0-0")
        #expect(part[0] == "3" && part[2] == "5" && part.count == 5 + 6)
        let rest = try await store.news(since: "3", part[1])
        #expect(rest[0] == "5" && rest.count == 5 + 4)
        let page = try await store.redis.run(
            RedisStep(
                script: RateLimitScripts.rulesPage, keys: [store.keys[0]],
                words: ["gone"] + (0..<5).map { "r\($0)" }))
        #expect(page.strings == ["", long, long, long])
    }

    /// Rules are written back only where there are none at all.
    @Test func writtenBackAfterALoss() async throws {
        let store = try await Store()
        let listener = try RedisServer.shared.connect()
        try listener.command(["SUBSCRIBE", store.base + "channel"])
        #expect(try await store.restore(1017, ["a", "{1}", "b", "{2}"], digest: "sha") == "restored")
        #expect(try await store.restore(2017, ["c", "{3}"]) == "there")
        let all = try await store.read()
        #expect(all == ["1017", all[1], "a", "{1}", "b", "{2}"] && all[1] != "0-0")
        #expect(try await store.redis.number("HEXISTS", store.keys[3], "sha") == 1)
        #expect(try listener.readReply().elements.map(\.text) == ["message", store.base + "channel", "1017"])
        #expect(try await store.change(at: 1017, [["put", "a", "{4}"]]) == ["changed", "1018"])
    }
}
