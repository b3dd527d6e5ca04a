import JSON
import TestSupport

/// Makes requests that are right in all but a few places.
struct Mutator {
    private(set) var random: SeededRandom

    init(_ random: SeededRandom) { self.random = random }

    mutating func oneIn(_ n: Int) -> Bool { random.oneIn(n) }
    mutating func pick<Element>(_ elements: [Element]) -> Element { random.pick(elements) }

    // MARK: Values

    /// Numbers at the ends of their types, and beside them.
    static let numbers = [
        "0", "-1", "1", "255", "65536", "2147483647", "2147483648", "4294967296", "9007199254740991",
        "9007199254740992",
        "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551615", "1e308", "1.5",
        "-0",
    ]

    private static let texts = [
        "", "foo", "#0", "#9", "*", "a*", "10.0.0.0/99", "../..", "%00", "a b", "é", "\u{1F375}", "null", "-", "~", ".",
        "{x}",
        "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "15m", "1h", "* * * * *", "@every 1s", "q1-000000000001",
        "MUG-1",
        "warehouse-1", "Europe/Berlin", String(repeating: "x", count: 300), String(repeating: "9", count: 40),
    ]

    /// Members that would make the walk itself wait, or end the worker on purpose.
    private static let fixed: Set<String> = ["waitMs", "durationMs", "crash"]

    private mutating func value() -> JSONValue {
        switch random.int(1...10) {
        case 1...4: Mutator.numbers.lazy.map(Mutator.number)[random.int(0...Mutator.numbers.count - 1)]
        case 5...7: .string(random.pick(Mutator.texts + Mutator.numbers))
        case 8: random.pick([.null, .bool(true), .bool(false)])
        case 9: random.pick([.array([]), .object([]), .array([.null]), .object([.init("a", .int(1))])])
        default: .array((0..<random.int(1...3)).map { _ in .string(random.pick(Mutator.texts)) })
        }
    }

    private static func number(_ text: String) -> JSONValue {
        if let int = Int(text) { return .int(int) }
        return .double(Double(text) ?? 0)
    }

    // MARK: Bodies

    /// A body with one to three places changed, sometimes with members of another one.
    mutating func body(_ text: String, borrowing other: String?) -> String {
        guard var value = text.withByteView({ try? JSONValue(parsing: $0) }) else { return bytes(text) }
        if let other, random.oneIn(4), let strange = other.withByteView({ try? JSONValue(parsing: $0) }) {
            value = borrowed(value, from: strange)
        }
        for _ in 0..<random.int(1...3) { value = changed(value) }
        let written = value.text()
        return random.oneIn(20) ? bytes(written) : written
    }

    private mutating func borrowed(_ value: JSONValue, from other: JSONValue) -> JSONValue {
        guard case .object(var members) = value, case .object(let strange) = other, !strange.isEmpty else {
            return value
        }
        let member = random.pick(strange)
        if !members.contains(where: { $0.key == member.key }) { members.append(member) }
        return .object(members)
    }

    /// Changes one place: a member of an object, an element of an array, or something within it.
    private mutating func changed(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(var members) where !members.isEmpty:
            let index = random.int(0...members.count - 1)
            let member = members[index]
            guard !Mutator.fixed.contains(member.key) else { return value }
            switch random.int(1...8) {
            case 1: members.remove(at: index)
            case 2: members.append(.init(member.key, self.value()))
            case 3: members.append(.init("unknown", .int(1)))
            case 4...5: members[index] = .init(member.key, changed(member.value))
            default: members[index] = .init(member.key, self.value())
            }
            return .object(members)
        case .array(var elements) where !elements.isEmpty:
            let index = random.int(0...elements.count - 1)
            switch random.int(1...4) {
            case 1: elements.append(elements[index])
            case 2: elements[index] = self.value()
            default: elements[index] = changed(elements[index])
            }
            return .array(elements)
        default: return self.value()
        }
    }

    /// A text with a byte or two changed, or cut.
    private mutating func bytes(_ text: String) -> String {
        var bytes = Array(text.utf8)
        guard !bytes.isEmpty else { return text }
        switch random.int(1...3) {
        case 1: bytes.removeLast(random.int(1...bytes.count))
        case 2: bytes[random.int(0...bytes.count - 1)] = UInt8(random.int(0...127))
        default: bytes.insert(random.pick(Array("\r\n\",;{}[]0".utf8)), at: random.int(0...bytes.count))
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: Ids, cursors and query items

    /// An id or cursor of ours with one of its parts changed.
    mutating func nearly(_ id: String) -> String {
        var parts: [String] = [""]
        for character in id {
            if "~-.: ".contains(character) {
                parts.append(String(character))
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        parts[2 * random.int(0...(parts.count - 1) / 2)] = random.pick(Mutator.numbers + ["", "x", "ended", "default"])
        return parts.joined()
    }

    mutating func item() -> String { random.pick(Mutator.numbers + Mutator.texts) }
}
