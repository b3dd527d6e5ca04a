/// `--name value` pairs, switches and plain words of a command line. Each is taken once; `end` refuses what is left.
struct Flags {
    private var values: [String: String] = [:]
    private var switchesOn: Set<String> = []
    private var plain: [String] = []

    init(_ arguments: ArraySlice<String>, switches: Set<String>) throws(UsageError) {
        var rest = arguments
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("--") else {
                plain.append(argument)
                continue
            }
            if switches.contains(argument) {
                switchesOn.insert(argument)
                continue
            }
            guard let value = rest.popFirst() else { throw UsageError(description: "\(argument) needs a value") }
            guard values.updateValue(value, forKey: argument) == nil else {
                throw UsageError(description: "\(argument) is given twice")
            }
        }
    }

    mutating func text(_ name: String) -> String? { values.removeValue(forKey: name) }

    func has(_ name: String) -> Bool { values[name] != nil }

    mutating func isOn(_ name: String) -> Bool { switchesOn.contains(name) }

    mutating func takePlain() -> [String] {
        defer { plain = [] }
        return plain
    }

    mutating func integer(_ name: String, _ range: ClosedRange<Int>) throws(UsageError) -> Int? {
        guard let text = text(name) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw UsageError(
                description: "\(name) is an integer from \(range.lowerBound) to \(range.upperBound), not \(text)")
        }
        return value
    }

    mutating func secondsAsUs(_ name: String, _ range: ClosedRange<Double>) throws(UsageError) -> Int64? {
        guard let text = text(name) else { return nil }
        guard let value = Double(text), range.contains(value) else {
            let bounds = "from \(range.lowerBound) to \(range.upperBound)"
            throw UsageError(description: "\(name) is a number of seconds \(bounds), not \(text)")
        }
        return Int64(value * 1_000_000)
    }

    mutating func target() throws(UsageError) -> Target {
        guard let url = text("--url") else { throw UsageError(description: "--url is missing") }
        guard let target = Target(url: url) else {
            throw UsageError(
                description: "--url is http://127.0.0.1:PORT or another loopback address with its port, not \(url)")
        }
        return target
    }

    mutating func token() throws(UsageError) -> String? {
        guard let token = text("--token") else { return nil }
        guard token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw UsageError(description: "--token has only visible ASCII")
        }
        return token
    }

    /// Refuses what nobody took.
    func end() throws(UsageError) {
        if let name = values.keys.sorted().first { throw UsageError(description: "\(name) is no option here") }
        if let word = plain.first { throw UsageError(description: "\(word) is not expected here") }
    }
}
