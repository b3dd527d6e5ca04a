import EventLoops
import Testing
import TimeZones

@testable import RateLimiting

struct QuotaPeriodsTests {
    private let policies = Samples.policies([
        try! Samples.rule("day", #""strategy":"quota","limit":5,"period":"day""#), try! Samples.rule("plain"),
        try! Samples.rule("berlin", #""strategy":"quota","limit":5,"period":"month","timeZone":"Europe/Berlin""#),
    ])

    @Test func quotaRulesGetThePeriodsAroundNow() throws {
        var periods = QuotaPeriods()
        let found = periods.around(policies)
        let nowUs = WallClock.nowUs()
        #expect(Set(found.keys) == [0, 2])
        for starts in found.values {
            #expect(starts.count == 4 && starts[1] <= nowUs && nowUs < starts[3])
            #expect(starts[0] < starts[1] && starts[1] < starts[2] && starts[2] < starts[3])
        }
        #expect(found[0]![1] % 86_400_000_000 == 0)
    }

    @Test func aGivenClockIsFollowedAndNotRemembered() throws {
        var periods = QuotaPeriods()
        let now = periods.around(policies)
        // 29 March 2026, 12:00 UTC.
        let given = periods.around(policies, givenNowUs: 1_774_785_600_000_000)
        #expect(given[0]![1] == 1_774_742_400_000_000)
        // 1 March in Berlin began at 23:00 UTC, 1 April at 22:00.
        #expect(given[2]![1] == 1_772_319_600_000_000)
        #expect(given[2]![2] == 1_774_994_400_000_000)
        let again = periods.around(policies)
        #expect(again == now)
    }

    @Test func redisClockCountsOnceItIsKnown() {
        var periods = QuotaPeriods()
        _ = periods.around(policies)
        let redisUs = WallClock.nowUs() - 40 * 86_400_000_000
        periods.learn(nowUs: redisUs)
        let found = periods.around(policies)
        #expect(found[0]![1] <= redisUs && redisUs < found[0]![3])
        #expect(found[2]![1] <= redisUs && redisUs < found[2]![3])
    }
}
