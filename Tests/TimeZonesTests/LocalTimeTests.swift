import Foundation
import Testing
import TimeZones

/// Local times and moments, checked with Foundation's own answers.
struct LocalTimeTests {
    @Test func aTimeIsShownOnceTwiceOrNever() throws {
        let zone = try #require(Zone(identifier: "America/New_York"))
        // 10 March 2024, 02:00 to 03:00 is skipped at 07:00 UTC.
        let spring = 1_710_054_000
        let gap = local(2024, 3, 10, 2)
        #expect(zone.moments(ofLocal: gap - 1) == .once(spring - 1))
        #expect(zone.moments(ofLocal: gap) == .skipped(resumesAt: spring))
        #expect(zone.moments(ofLocal: gap + 3599) == .skipped(resumesAt: spring))
        #expect(zone.moments(ofLocal: gap + 3600) == .once(spring))
        // 3 November 2024, 01:00 to 02:00 is repeated from 06:00 UTC on.
        let autumn = 1_730_613_600
        let hour = local(2024, 11, 3, 1)
        #expect(zone.moments(ofLocal: hour - 1) == .once(autumn - 3601))
        #expect(zone.moments(ofLocal: hour) == .twice(first: autumn - 3600, second: autumn))
        #expect(zone.moments(ofLocal: hour + 3599) == .twice(first: autumn - 1, second: autumn + 3599))
        #expect(zone.moments(ofLocal: hour + 3600) == .once(autumn + 3600))
        #expect(zone.nextTransition(after: spring - 1) == spring)
        #expect(zone.nextTransition(after: spring) == autumn)
        #expect(zone.offsetSeconds(at: spring - 1) == -18000)
        #expect(zone.offsetSeconds(at: spring) == -14400)
    }

    @Test func halfAnHourAndAWholeDay() throws {
        let lordHowe = try #require(Zone(identifier: "Australia/Lord_Howe"))
        // 6 October 2024, 02:00+10:30 became 02:30+11:00; 7 April 2024, 02:00+11:00 became 01:30+10:30.
        let spring = local(2024, 10, 6, 2) - 37800
        let autumn = local(2024, 4, 7, 2) - 39600
        #expect(lordHowe.moments(ofLocal: local(2024, 10, 6, 2) + 1799) == .skipped(resumesAt: spring))
        #expect(lordHowe.moments(ofLocal: local(2024, 10, 6, 2) + 1800) == .once(spring))
        #expect(lordHowe.moments(ofLocal: local(2024, 4, 7, 2) - 1800) == .twice(first: autumn - 1800, second: autumn))
        #expect(lordHowe.moments(ofLocal: local(2024, 4, 7, 2) - 1801) == .once(autumn - 1801))
        let apia = try #require(Zone(identifier: "Pacific/Apia"))
        let change = local(2011, 12, 30, 10)
        #expect(apia.moments(ofLocal: local(2011, 12, 30, 0)) == .skipped(resumesAt: change))
        #expect(apia.moments(ofLocal: local(2011, 12, 30, 0) + 86399) == .skipped(resumesAt: change))
        #expect(apia.moments(ofLocal: local(2011, 12, 31, 0)) == .once(change))
        #expect(apia.moments(ofLocal: local(2011, 12, 30, 0) - 1) == .once(change - 1))
    }

    @Test func aZoneWithoutChangesAndTimesBeyondTheTable() throws {
        let utc = try #require(Zone(identifier: "UTC"))
        #expect(utc.identifier == "UTC")
        #expect(utc.nextTransition(after: 0) == nil)
        #expect(utc.moments(ofLocal: 12345) == .once(12345))
        #expect(utc.moments(ofLocal: -62_135_596_800) == .once(-62_135_596_800))
        let berlin = try #require(Zone(identifier: "Europe/Berlin"))
        #expect(berlin.moments(ofLocal: -62_135_596_800) == .once(-62_135_596_800 - 3600))
        #expect(berlin.moments(ofLocal: 253_402_300_799) == .once(253_402_300_799 - 3600))
    }

    @Test(arguments: ["Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Gaza"])
    func agreesWithFoundation(_ name: String) throws {
        let zone = try #require(Zone(identifier: name))
        let foundation = try #require(TimeZone(identifier: name))
        for at in stride(from: 0, to: 4_000_000_000, by: 86400 + 3601) {
            let offset = foundation.secondsFromGMT(for: Date(timeIntervalSince1970: Double(at)))
            guard zone.offsetSeconds(at: at) == offset else {
                Issue.record("\(name) at \(at): \(zone.offsetSeconds(at: at)), not \(offset)")
                return
            }
            switch zone.moments(ofLocal: at + offset) {
            case .once(let moment): #expect(moment == at)
            case .twice(let first, let second): #expect(first == at || second == at)
            case .skipped: Issue.record("\(name): \(at) is shown")
            }
        }
    }

    /// As if the clock were UTC's.
    private func local(_ year: Int, _ month: Int, _ day: Int, _ hour: Int) -> Int {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = TimeZone(identifier: "UTC")!
        let date = calendar.date(from: DateComponents(year: year, month: month, day: day, hour: hour))!
        return Int(date.timeIntervalSince1970)
    }
}
