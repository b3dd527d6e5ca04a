import EventLoops
import TestSupport
import Testing

extension Integration {
    /// Rules on live keys: Redis's clock and Redis's expiry are at work.
    @Suite struct LiveKeyTests {
        /// Drained, a bucket of 100 has regained two tokens after 2.2 s, not a hundred: its key must outlive its refill.
        @Test func aBucketRegainsWhatItShould() async throws {
            let redis = try RedisServer.shared
            let server = try TestServer(redis: redis)
            try server.rule(#"{"name":"slow","strategy":"token_bucket","limit":1,"window":"1s","burst":100}"#)
            let startUs = MonotonicClock.nowUs()
            let drained = try server.check(#"{"identifier":"ann","cost":100}"#)
            #expect(drained.status == 200 && drained.remaining == 0)
            try await Task.sleep(nanoseconds: 2_200_000_000)
            var allowed = 0
            var answer = try server.check(#"{"identifier":"ann"}"#)
            while answer.isAllowed == true, allowed < 50 {
                allowed += 1
                answer = try server.check(#"{"identifier":"ann"}"#)
            }
            let passedMs = Int(MonotonicClock.nowUs() - startUs) / 1000 + 1
            #expect(answer.status == 429)
            // By Redis's clock: what is used comes back in resetAfterMs, at one token a second.
            let resetMs = try #require(answer["resetAfterMs"]?.int)
            let elapsedMs = (100 + allowed) * 1000 - resetMs
            #expect((2199...passedMs).contains(elapsedMs), "\(elapsedMs) of \(passedMs) ms")
            #expect(allowed == elapsedMs / 1000)
            let retryMs = try #require(answer.retryAfterMs)
            #expect(abs(retryMs - ((allowed + 1) * 1000 - elapsedMs)) <= 1)
            let lifeMs = Int(try redis.redis("PTTL", "\(server.prefix)ratelimit:{id:ann}:slow:1"))
            #expect((lifeMs ?? 0) >= resetMs - 5000)
        }

        @Test func aFullBucketLeavesNothingBehind() async throws {
            let redis = try RedisServer.shared
            let server = try TestServer(redis: redis)
            try server.rule(#"{"name":"fast","strategy":"token_bucket","limit":10,"window":"1s","burst":2}"#)
            #expect(try server.check(#"{"identifier":"ann","cost":2}"#).remaining == 0)
            let key = "\(server.prefix)ratelimit:{id:ann}:fast:1"
            #expect(try redis.redis("EXISTS", key) == "1")
            #expect(await eventually { (try? redis.redis("EXISTS", key)) == "0" })
            #expect(try server.check(#"{"identifier":"ann"}"#).remaining == 1)
        }

        /// Refused 1 ms before its retryAfter would be hard to hit; allowed at it is not.
        @Test(arguments: [
            #""token_bucket","limit":2,"window":"600ms""#, #""sliding_window","limit":2,"window":"600ms""#,
            #""sliding_window_counter","limit":2,"window":"600ms""#, #""fixed_window","limit":2,"window":"600ms""#,
        ])
        func retryAfterIsTrue(_ strategy: String) async throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule("{\"name\":\"r\",\"strategy\":\(strategy)}")
            for _ in 0..<3 {
                var refusal = try server.check(#"{"identifier":"ann"}"#)
                while refusal.isAllowed == true { refusal = try server.check(#"{"identifier":"ann"}"#) }
                let waitMs = try #require(refusal.retryAfterMs)
                #expect(waitMs >= 1 && waitMs <= 1200)
                #expect(refusal.header("Retry-After") == String((waitMs + 999) / 1000))
                try await Task.sleep(nanoseconds: UInt64(waitMs) * 1_000_000)
                #expect(try server.check(#"{"identifier":"ann"}"#).isAllowed == true)
            }
        }
    }
}
