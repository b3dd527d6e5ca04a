import JSON

/// A command that asks a running service. All of them are in `ServiceCommand.all`, from which the help is made too.
struct ServiceCommand: Sendable {
    /// The words that name it.
    let name: String
    /// What the words after its name are.
    let words: [String]
    let flags: [Flag]
    let help: String
    let run: @Sendable (Asking) throws -> ExitCode

    init(
        _ name: String, _ words: [String] = [], flags: [Flag] = [], help: String,
        run: @escaping @Sendable (Asking) throws -> ExitCode
    ) {
        self.name = name
        self.words = words
        self.flags = flags
        self.help = help
        self.run = run
    }

    static let all = health + rules + jobs + queues + stock + audit

    static let url = Flag("url", "URL", "the service: http://HOST:PORT or unix:///PATH (QM_URL)")
    static let json = Flag("json", nil, "print the service's JSON")
    private static let helping = Flag("help", nil, "print this")
    private static let common = [url, json, helping]

    /// Whether `word` begins the name of one of these commands.
    static func isFirstWord(_ word: String) -> Bool { all.contains { $0.firstWord == word } }

    /// Runs the command that `arguments`, the command line after the program's name, are of.
    static func run(_ arguments: [String]) throws -> ExitCode {
        let family = all.filter { $0.firstWord == arguments[0] }
        var given = try CommandArguments(arguments, of: arguments[0], flags: family.flatMap(\.flags) + common)
        let wantsHelp = given.has("help")
        guard let command = family.last(where: { given.words.starts(with: $0.nameWords) }) else {
            if wantsHelp { return show(family) }
            throw UsageError(description: unknown(family))
        }
        if wantsHelp { return show(given.words.count > 1 || family.count == 1 ? [command] : family) }
        given.dropWords(command.nameWords.count)
        let allowed = Set((command.flags + common).map(\.name))
        if let name = given.names.first(where: { !allowed.contains($0) }) {
            throw UsageError(description: "\(command.name) has no flag --\(name)")
        }
        guard given.words.count == command.words.count else {
            // A word too many may be one that is none of the family's.
            let isWord = !given.words.isEmpty && command.words.isEmpty && family.count > 1
            throw UsageError(description: isWord ? unknown(family) : "it is `\(command.usage)`")
        }
        return try command.run(try Asking(given))
    }

    /// `jobs show ID`
    var usage: String { ([name] + words).joined(separator: " ") }

    // MARK: Inside

    private var nameWords: [String] { name.split(separator: " ").map(String.init) }
    private var firstWord: String { nameWords[0] }

    private static func unknown(_ family: [ServiceCommand]) -> String {
        "the command is one of " + family.map { "`\($0.usage)`" }.joined(separator: ", ")
    }

    private static func show(_ commands: [ServiceCommand]) -> ExitCode {
        var parts: [String] = []
        for command in commands {
            let flags = Help.aligned(command.flags.map { ($0.label, $0.help) }, indent: 6)
            parts.append("  \(command.usage)\n      \(command.help)" + (flags.isEmpty ? "" : "\n" + flags))
        }
        parts.append("and each of them:\n" + Help.aligned(common.map { ($0.label, $0.help) }, indent: 6))
        Output.line(parts.joined(separator: "\n\n") + "\n\nThe token, where the service asks for one, is in QM_TOKEN.")
        return .success
    }
}

/// What a command was asked, whom it asks, and how it answers.
struct Asking {
    let arguments: CommandArguments
    let service: ServiceClient
    /// Whether the service's JSON is printed as it came.
    let printsJSON: Bool

    init(_ arguments: CommandArguments) throws {
        self.arguments = arguments
        printsJSON = arguments.has("json")
        service = try ServiceClient(
            url: arguments["url"] ?? environmentValue("QM_URL") ?? "http://127.0.0.1:8080",
            token: environmentValue("QM_TOKEN"))
    }

    var words: [String] { arguments.words }

    /// `/api/jobs/` and the first word.
    func path(_ before: String, _ after: String = "") -> String { before + PathText.escaped(words[0]) + after }

    /// A query of the flags that were given.
    func query(_ names: [String], limit: Int? = nil) -> String {
        var items = names.compactMap { name in arguments[name].map { name + "=" + PathText.escaped($0) } }
        if let limit { items.append("limit=\(limit)") }
        return items.isEmpty ? "" : "?" + items.joined(separator: "&")
    }

    /// Prints the service's JSON if that is wanted, what `text` makes of it otherwise.
    func show(_ value: JSONValue, _ text: (JSONValue) throws -> String) rethrows -> ExitCode {
        Output.line(printsJSON ? value.text(pretty: true) : try text(value))
        return .success
    }

    /// Prints a list likewise; of an empty one says on standard error that there are no `things`.
    func show(_ list: [JSONValue], _ things: String, _ table: ([JSONValue]) -> TextTable) -> ExitCode {
        if printsJSON {
            Output.line(JSONValue.array(list).text(pretty: true))
        } else if list.isEmpty {
            Output.note("there are no \(things)")
        } else {
            Output.line(table(list).text(width: Output.terminalWidth))
        }
        return .success
    }
}
