import Bytes
import JobScheduling
import Testing
import TimeZones

/// Random schedules around changes of the clock, compared with the rules taken literally: every minute is looked at.
struct CronModelTests {
    @Test(
        arguments: [
            "America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "America/Havana", "America/Sao_Paulo",
            "Africa/Casablanca", "Pacific/Apia", "Pacific/Chatham", "UTC",
        ], 1...2)
    func agreesWithAWalkOverTheMinutes(_ name: String, _ seed: UInt64) throws {
        let zone = try #require(Zone(identifier: name))
        var random = Seeded(state: name.utf8.reduce(seed) { $0 &* 31 &+ UInt64($1) })
        for _ in 0..<20 {
            let minutes = CronModelTests.field(0...59, &random)
            let hours = CronModelTests.field(0...4, &random)
            let schedule = try Schedule("\(minutes) \(hours) * * *")
            let change = zone.nextTransition(after: Int.random(in: 900_000_000..<1_800_000_000, using: &random))
            let from = (change ?? 1_500_000_000) + Int.random(in: -100_000...7200, using: &random)
            let until = from + 3 * 86400
            var runs: [Int] = []
            var at = from * 1000
            while let next = schedule.next(afterMs: at, in: zone), next <= until * 1000 {
                runs.append(next / 1000)
                at = next
            }
            let isFixed = !minutes.hasPrefix("*") && !hours.hasPrefix("*")
            let (minuteSet, hourSet) = (CronModelTests.numbers(minutes, 59), CronModelTests.numbers(hours, 23))
            let fits = { (local: Int) in minuteSet.contains(local / 60 % 60) && hourSet.contains(local / 3600 % 24) }
            let expected = isFixed ? fixed(zone, from, until, fits) : onClock(zone, from, until, fits)
            #expect(runs == expected, "\(minutes) \(hours) from \(from), seed \(seed)")
        }
    }

    /// Offsets are of whole minutes here, so that local minutes begin with those since the epoch.
    private func onClock(_ zone: Zone, _ from: Int, _ until: Int, _ fits: (Int) -> Bool) -> [Int] {
        stride(from: from / 60 * 60 + 60, through: until, by: 60).filter { fits($0 + zone.offsetSeconds(at: $0)) }
    }

    /// Each local minute: the first moment that shows it, else the first one after the gap.
    private func fixed(_ zone: Zone, _ from: Int, _ until: Int, _ fits: (Int) -> Bool) -> [Int] {
        var moments: Set<Int> = []
        var shown: [Int: Int] = [:]
        for at in stride(from: from / 60 * 60 - 2 * 86400, through: until + 2 * 86400, by: 60) {
            let local = at + zone.offsetSeconds(at: at)
            if shown[local] == nil { shown[local] = at }
        }
        let first = from / 60 * 60 + zone.offsetSeconds(at: from) - 86400
        for local in stride(from: first, through: first + 6 * 86400, by: 60) where fits(local) {
            var real = local
            while shown[real] == nil, real < first + 6 * 86400 { real += 60 }
            if let at = shown[real], at > from, at <= until { moments.insert(at) }
        }
        return moments.sorted()
    }

    /// Fields of few forms, so that reading them is no matter here.
    private static func field(_ range: ClosedRange<Int>, _ random: inout Seeded) -> String {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: "*"
        case 1: "*/\(Int.random(in: 2...20, using: &random))"
        default: "\(Int.random(in: range, using: &random)),\(Int.random(in: range, using: &random))"
        }
    }

    private static func numbers(_ field: String, _ last: Int) -> Set<Int> {
        if field == "*" { return Set(0...last) }
        if let step = Int(field.dropFirst(2)), field.hasPrefix("*/") {
            return Set(stride(from: 0, through: last, by: step))
        }
        return Set(field.split(separator: ",").compactMap { Int($0) })
    }

    /// SplitMix64.
    private struct Seeded: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
            return z ^ z >> 31
        }
    }
}
