import EventLoops
import JSON

extension JSONValue {
    /// The member as a cell of a table: text as it is, nothing for null and what is absent, the rest as JSON.
    func cell(_ key: String) -> String {
        switch self[key] {
        case nil, .null?: ""
        case .string(let text)?: text
        case let value?: value.text()
        }
    }

    /// The member as an integer.
    func integer(_ key: String) -> Int? {
        if case .int(let number)? = self[key] { number } else { nil }
    }

    /// The member's strings, joined; `none` when there are none.
    func joined(_ key: String, none: String) -> String {
        guard case .array(let elements)? = self[key], !elements.isEmpty else { return none }
        return elements.map { if case .string(let text) = $0 { text } else { $0.text() } }.joined(separator: ",")
    }

    /// The member, a time, as seen from now.
    func when(_ key: String, nowMs: Int = Int(WallClock.nowUs() / 1000)) -> String {
        TimeText.ms(cell(key)).map { TimeText.relative($0, nowMs: nowMs) } ?? ""
    }

    /// The member, milliseconds, as a duration.
    func lasting(_ key: String) -> String { integer(key).map(TimeText.duration) ?? "" }
}
