import Glibc
import TestSupport
import Testing

extension Integration {
    /// Two replicas behind a network that does what it likes: whatever is lost, nobody is let through beyond the limit.
    struct SeededFaultTests {
        private static let limit = 8
        private static let identifiers = 12

        private struct Told: Sendable {
            /// By identifier.
            var allowed = Array(repeating: 0, count: identifiers)
            var refused = 0
            var unavailable = 0
            var wrong: [String] = []
        }

        @Test(arguments: ["fixed_window", "token_bucket", "sliding_window", "sliding_window_counter"])
        func neverMoreThanTheLimit(strategy: String) async throws {
            let redis = try RedisServer.shared
            let prefix = redis.prefix()
            let schedule = FaultSchedule(oneIn: 8, longestUs: 40_000)
            // A day: should one end while this runs, two of them have their limit.
            let maker = try TestServer(redis: redis, prefix: prefix)
            try maker.rule(
                #"{"name":"few","strategy":"\#(strategy)","limit":\#(SeededFaultTests.limit),"window":"1d","onStoreFailure":"deny"}"#
            )
            let proxies = try (0..<2).map { _ in try RedisFaultProxy(redis, schedule: schedule) }
            let servers = try proxies.map { proxy in
                try TestServer(redis: redis, prefix: prefix) {
                    $0.redisURL = proxy.url
                    $0.checkBudgetMs = 100
                }
            }
            #expect(try servers.allSatisfy { try $0.knows(rules: 1) })
            let told = Shared(Told())
            for proxy in proxies { proxy.begin() }
            await withTaskGroup(of: Void.self) { group in
                for client in 0..<4 {
                    group.addTask {
                        // Each identifier more often than it may, over both replicas. What is remembered as refused is
                        // not asked again, so it takes many to keep the connections busy.
                        for number in 0..<3 * SeededFaultTests.limit * SeededFaultTests.identifiers / 4 {
                            let who = (number + client) % SeededFaultTests.identifiers
                            let answer = try? servers[(client + number) % 2].check(#"{"identifier":"\#(who)"}"#)
                            guard let answer else { continue }
                            told.withLock { told in
                                switch answer.status {
                                case 200: told.allowed[who] += 1
                                case 429: told.refused += 1
                                case 503: told.unavailable += 1
                                default: told.wrong.append(answer.text)
                                }
                            }
                            // A breaker that has opened answers at once for a moment: the storm is not to be over by then.
                            if answer.status == 503 { usleep(10_000) }
                        }
                    }
                }
            }
            for proxy in proxies { proxy.calm() }
            let sum = told.withLock { $0 }
            #expect(sum.wrong.isEmpty && sum.allowed.allSatisfy { $0 <= SeededFaultTests.limit }, "\(sum); \(proxies)")
            // Some seeds cut every connection until the storm is over; then nothing is allowed before the calm.
            #expect(proxies.contains { !$0.suffered.isEmpty }, "\(sum); \(proxies)")
            // What is left of the limit can still be had, and no more than that.
            var rest = 0
            let isOver = try await eventually {
                let answer = try servers[0].check(#"{"identifier":"0"}"#)
                if answer.status == 200 { rest += 1 }
                return answer.status == 429
            }
            #expect(isOver && sum.allowed[0] + rest <= SeededFaultTests.limit, "\(sum), then \(rest); \(proxies)")
        }
    }
}
