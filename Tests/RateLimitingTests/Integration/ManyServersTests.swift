import EventLoops
import Glibc
import TestSupport
import Testing

extension Integration {
    /// Several replicas decide as one.
    @Suite struct ManyServersTests {
        /// 10,000 checks of one client over 256 connections to two servers: exactly the limit passes.
        @Test(arguments: [
            #""token_bucket","limit":1000,"window":"1h""#, #""sliding_window","limit":1000,"window":"1h""#,
            #""sliding_window_counter","limit":1000,"window":"1d""#,
        ])
        func theLimitIsExact(_ strategy: String) throws {
            let redis = try RedisServer()
            let first = try TestServer(redis: redis, loops: 2)
            let second = try TestServer(redis: redis, prefix: first.prefix)
            try first.rule("{\"name\":\"hourly\",\"strategy\":\(strategy)}")
            #expect(try second.knows(rules: 1))
            let crowd = try Crowd([first, second], count: 256)
            var allowed = 0
            var refused = 0
            let startUs = MonotonicClock.nowUs()
            try crowd.post("/api/rate-limits/check", Array(repeating: #"{"identifier":"ann"}"#, count: 10_000)) {
                answer in
                switch (answer.status, answer.reason) {
                case (200, "allowed"): allowed += 1
                case (429, "limit-exceeded"): refused += 1
                default: Issue.record("\(answer.status) \(answer.text)")
                }
            }
            let regained = Int((MonotonicClock.nowUs() - startUs) / 3_600_000)
            #expect((1000...1000 + (strategy.contains("bucket") ? regained : 0)).contains(allowed))
            #expect(allowed + refused == 10_000)
        }

        /// The same while Redis forgets all scripts ten times a second: not one error, not one decision too many.
        @Test(.timeLimit(.minutes(2))) func flushedScriptsAreNoErrors() throws {
            let redis = try RedisServer()
            let first = try TestServer(redis: redis)
            let second = try TestServer(redis: redis, prefix: first.prefix)
            try first.rule(#"{"name":"a","strategy":"token_bucket","limit":10,"window":"1d"}"#)
            try first.rule(
                #"{"name":"b","strategy":"sliding_window","limit":8,"window":"1d","match":{"endpoint":"/b/*"}}"#)
            #expect(try second.knows(rules: 2))
            let crowd = try Crowd([first, second], count: 256)
            let isDone = Journal<Bool>()
            let flushes = Journal<Bool>()
            Threads.start("flusher") {
                guard let connection = try? redis.connect() else { return }
                while isDone.count == 0 {
                    if (try? connection("SCRIPT", "FLUSH")) != nil { flushes.add(true) }
                    for _ in 0..<10 where isDone.count == 0 { usleep(10_000) }
                }
            }
            defer { isDone.add(true) }
            // 200 clients, 20 checks each on one rule, and 200 more under two.
            let bodies = (0..<10_000).map { i in
                i < 5000
                    ? "{\"identifier\":\"a\(i % 250)\"}" : "{\"identifier\":\"b\(i % 250)\",\"endpoint\":\"/b/\(i)\"}"
            }
            var allowed = 0
            try crowd.post("/api/rate-limits/check", bodies) { answer in
                switch (answer.status, answer.reason) {
                case (200, "allowed"): allowed += 1
                case (429, "limit-exceeded"): break
                default: Issue.record("\(answer.status) \(answer.text)")
                }
            }
            #expect(allowed == 250 * 10 + 250 * 8)
            #expect(flushes.count > 1)
            #expect(try first.metric("quartermaster_ratelimit_store_failures_total") == 0)
            #expect(try second.metric("quartermaster_ratelimit_store_failures_total") == 0)
        }
    }
}
