typealias UsageError = ConfigurationReader.UsageError

/// A flag of a command that asks a running service.
struct Flag: Sendable {
    let name: String
    /// What the value is, for the help; nil for a switch.
    let value: String?
    let help: String

    init(_ name: String, _ value: String?, _ help: String) {
        self.name = name
        self.value = value
        self.help = help
    }

    var label: String { "--" + name + (value.map { " " + $0 } ?? "") }
}

/// The words and flags of a command line, in any order: `--name VALUE` or `--name=VALUE`, `--name` for a switch; after a
/// lone `--` everything is a word.
struct CommandArguments: Sendable {
    /// What is no flag, in order.
    private(set) var words: [String] = []
    /// The names of the flags that were given, in order.
    private(set) var names: [String] = []
    private var values: [String: [String]] = [:]

    /// - Parameters:
    ///   - command: whose flags they are, for the message.
    ///   - flags: every flag there is.
    init(_ arguments: [String], of command: String, flags: [Flag]) throws(UsageError) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                words += rest
                return
            }
            guard argument.hasPrefix("--") || argument == "-h" else {
                words.append(argument)
                continue
            }
            let parts = argument.dropFirst(2).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = argument == "-h" ? "help" : String(parts[0])
            guard let flag = flags.first(where: { $0.name == name }) else {
                throw UsageError(description: "\(command) has no flag --\(name)")
            }
            names.append(name)
            if flag.value == nil {
                guard parts.count == 1 else { throw UsageError(description: "--\(name) takes no value") }
            } else if parts.count == 2 {
                values[name, default: []].append(String(parts[1]))
            } else {
                guard let value = rest.popFirst() else { throw UsageError(description: "--\(name) needs a value") }
                values[name, default: []].append(value)
            }
        }
    }

    /// Whether the flag was given.
    func has(_ name: String) -> Bool { names.contains(name) }

    /// The flag's value; of one that was given twice, the last.
    subscript(name: String) -> String? { values[name]?.last }

    /// All values of a flag that may be given more than once.
    func all(_ name: String) -> [String] { values[name] ?? [] }

    /// The flag's value as a number.
    func integer(_ name: String, _ range: ClosedRange<Int>) throws(UsageError) -> Int? {
        guard let text = self[name] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw UsageError(
                description: "--\(name) must be an integer from \(range.lowerBound) to \(range.upperBound), not \(text)"
            )
        }
        return number
    }

    /// Words that come after the name of the command.
    mutating func dropWords(_ count: Int) { words.removeFirst(count) }
}
