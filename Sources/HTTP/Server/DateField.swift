import Bytes
import EventLoops

/// The fields that every answer has: Date (RFC 9110, section 6.6.1), written once a second, and that no browser is to take
/// the body for another type than it says.
final class DateField {
    private let line = ByteBuffer(capacity: 128)
    /// On the loop's monotonic clock.
    private var validUntilUs = Int64.min

    /// `Date: Sun, 22 Nov 2026 23:05:00 GMT` and the other one, with their line ends.
    @inline(__always)
    func view(nowUs: Int64) -> ByteView {
        if nowUs >= validUntilUs { write(nowUs: nowUs) }
        return line.view
    }

    private func write(nowUs: Int64) {
        let wallUs = WallClock.nowUs()
        validUntilUs = nowUs + 1_000_000 - wallUs % 1_000_000
        line.removeAll()
        line.append("Date: ")
        DateField.append(wallUs / 1_000_000, to: line)
        line.append("\r\nX-Content-Type-Options: nosniff\r\n")
    }

    /// Appends IMF-fixdate of a time in seconds since the epoch.
    static func append(_ seconds: Int64, to buffer: ByteBuffer) {
        let days = Int(seconds / 86400)
        let inDay = Int(seconds % 86400)
        let date = CalendarDate(daysSinceEpoch: days)
        let dayNames: StaticString = "ThuFriSatSunMonTueWed"
        let monthNames: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
        buffer.append(ByteView(base: dayNames.utf8Start + days % 7 * 3, count: 3))
        buffer.append(", ")
        buffer.append(decimal: date.day, width: 2)
        buffer.append(0x20)
        buffer.append(ByteView(base: monthNames.utf8Start + (date.month - 1) * 3, count: 3))
        buffer.append(0x20)
        buffer.append(decimal: date.year, width: 4)
        buffer.append(0x20)
        buffer.append(decimal: inDay / 3600, width: 2)
        buffer.append(0x3A)
        buffer.append(decimal: inDay / 60 % 60, width: 2)
        buffer.append(0x3A)
        buffer.append(decimal: inDay % 60, width: 2)
        buffer.append(" GMT")
    }
}
