import Glibc
import Testing
import TimeZones

/// Moments are written as UTC and worked out by the C library, which the code under test does not use.
struct ZoneTests {
    @Test(arguments: ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
    func knows(_ name: String) { #expect(Zone(identifier: name) != nil) }

    @Test(arguments: ["", "Mars/Olympus", "Europe/berlin", "../etc/passwd", "CET+1", "EST5EDT,M3", "PST"])
    func refuses(_ name: String) { #expect(Zone(identifier: name) == nil, "\(name)") }

    @Test func daysWithAClockChangeAreAnHourShorterOrLonger() throws {
        let berlin = try #require(Zone(identifier: "Europe/Berlin"))
        // 29 March 2026, the clock jumps from 02:00 to 03:00: 23 hours.
        #expect(
            berlin.starts(of: .day, around: utc(2026, 3, 29, 12)) == [
                utc(2026, 3, 27, 23), utc(2026, 3, 28, 23), utc(2026, 3, 29, 22), utc(2026, 3, 30, 22),
            ])
        // 25 October 2026, it goes back from 03:00 to 02:00: 25 hours.
        #expect(
            berlin.starts(of: .day, around: utc(2026, 10, 25, 0)) == [
                utc(2026, 10, 23, 22), utc(2026, 10, 24, 22), utc(2026, 10, 25, 23), utc(2026, 10, 26, 23),
            ])
    }

    @Test func aMidnightThatIsSkippedGivesADayThatStartsAfterTheGap() throws {
        // In Brazil the clock jumped from 00:00 to 01:00 on 4 November 2018.
        let zone = try #require(Zone(identifier: "America/Sao_Paulo"))
        let starts = zone.starts(of: .day, around: utc(2018, 11, 4, 12))
        #expect(starts == [utc(2018, 11, 3, 3), utc(2018, 11, 4, 3), utc(2018, 11, 5, 2), utc(2018, 11, 6, 2)])
    }

    @Test func weeksStartOnMonday() throws {
        let zone = try #require(Zone(identifier: "UTC"))
        // 1 January 2027 is a Friday.
        let weeks = [utc(2026, 12, 21), utc(2026, 12, 28), utc(2027, 1, 4), utc(2027, 1, 11)]
        #expect(zone.starts(of: .week, around: utc(2027, 1, 1)) == weeks)
        #expect(zone.starts(of: .week, around: utc(2027, 1, 3, 23, 59)) == weeks)
        #expect(zone.starts(of: .week, around: utc(2027, 1, 4))[1] == utc(2027, 1, 4))
        // A week across the change of the clock.
        let berlin = try #require(Zone(identifier: "Europe/Berlin"))
        #expect(
            berlin.starts(of: .week, around: utc(2026, 3, 29, 12)) == [
                utc(2026, 3, 15, 23), utc(2026, 3, 22, 23), utc(2026, 3, 29, 22), utc(2026, 4, 5, 22),
            ])
    }

    @Test func monthsAndYears() throws {
        let zone = try #require(Zone(identifier: "America/New_York"))
        #expect(
            zone.starts(of: .month, around: utc(2028, 2, 29, 12)) == [
                utc(2028, 1, 1, 5), utc(2028, 2, 1, 5), utc(2028, 3, 1, 5), utc(2028, 4, 1, 4),
            ])
        #expect(
            zone.starts(of: .year, around: utc(2028, 1, 1, 4, 59)) == [
                utc(2026, 1, 1, 5), utc(2027, 1, 1, 5), utc(2028, 1, 1, 5), utc(2029, 1, 1, 5),
            ])
        // 31 December 2024 belongs to week 1 of 2025, and yet to the year 2024.
        let plain = try #require(Zone(identifier: "UTC"))
        #expect(plain.starts(of: .year, around: utc(2024, 12, 31))[1] == utc(2024, 1, 1))
    }

    @Test func hoursAreThoseOfTheLocalClock() throws {
        let india = try #require(Zone(identifier: "Asia/Kolkata"))
        #expect(
            india.starts(of: .hour, around: utc(2026, 5, 1, 10, 45)) == [
                utc(2026, 5, 1, 9, 30), utc(2026, 5, 1, 10, 30), utc(2026, 5, 1, 11, 30), utc(2026, 5, 1, 12, 30),
            ])
    }

    @Test func aStartBelongsToItsPeriodAndTheMomentBeforeDoesNot() throws {
        let zone = try #require(Zone(identifier: "Europe/Berlin"))
        let start = utc(2026, 6, 30, 22)
        #expect(zone.starts(of: .day, around: start)[1] == start)
        #expect(zone.starts(of: .day, around: start - 1)[2] == start)
        #expect(zone.starts(of: .month, around: start)[1] == start)
        #expect(zone.starts(of: .month, around: start - 1)[2] == start)
    }

    /// Whatever the zone and the clock's changes: four starts that grow, the moment in the second period, and each
    /// period's neighbours are its neighbours.
    @Test(
        arguments: [
            "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Havana", "Australia/Lord_Howe",
            "Asia/Kolkata", "Pacific/Apia", "Africa/Casablanca", "UTC",
        ], [Zone.Unit.hour, .day, .week, .month, .year])
    func periodsFollowEachOther(_ name: String, _ unit: Zone.Unit) throws {
        let zone = try #require(Zone(identifier: name))
        var us = utc(2018, 1, 1) + 123_456
        // A step that meets all hours of the day, over some years.
        while us < utc(2020, 1, 1) {
            let starts = zone.starts(of: unit, around: us)
            let isOrdered = starts.count == 4 && starts[0] < starts[1] && starts[2] < starts[3]
            guard isOrdered, starts[1] <= us, us < starts[2] else {
                Issue.record("\(name) \(unit): \(starts) around \(us)")
                return
            }
            let next = zone.starts(of: unit, around: starts[2])
            guard Array(next[0...2]) == Array(starts[1...3]) else {
                Issue.record("\(name) \(unit): \(starts) around \(us), then \(next)")
                return
            }
            us += unit == .hour ? 7 * 3_600_000_000 + 60_000_000 : 43 * 3_600_000_000
        }
    }

    private func utc(_ year: Int32, _ month: Int32, _ day: Int32, _ hour: Int32 = 0, _ minute: Int32 = 0) -> Int64 {
        var parts = tm()
        parts.tm_year = year - 1900
        parts.tm_mon = month - 1
        parts.tm_mday = day
        parts.tm_hour = hour
        parts.tm_min = minute
        return Int64(timegm(&parts)) * 1_000_000
    }
}
