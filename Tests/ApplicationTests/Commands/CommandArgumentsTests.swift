import JSON
import Testing

@testable import Application

struct CommandArgumentsTests {
    private static let flags = [
        Flag("queue", "NAME", ""), Flag("limit", "N", ""), Flag("all", nil, ""), Flag("help", nil, ""),
    ]

    private func read(_ arguments: String...) throws -> CommandArguments {
        try CommandArguments(arguments, of: "trial", flags: CommandArgumentsTests.flags)
    }

    @Test func wordsAndFlagsComeInAnyOrder() throws {
        let arguments = try read("--queue", "a", "word", "--limit=5", "--all", "other", "--queue=b=c")
        #expect(arguments.words == ["word", "other"])
        #expect(arguments["queue"] == "b=c" && arguments.all("queue") == ["a", "b=c"])
        #expect(try arguments.integer("limit", 1...5) == 5)
        #expect(arguments.has("all") && !arguments.has("help"))
        #expect(arguments.names == ["queue", "limit", "all", "queue"])
    }

    @Test func whatIsNotGivenIsNil() throws {
        let arguments = try read("-h")
        #expect(arguments["queue"] == nil && arguments.all("queue").isEmpty && arguments.has("help"))
        #expect(try arguments.integer("limit", 1...5) == nil)
    }

    @Test func afterTwoDashesEverythingIsAWord() throws {
        let arguments = try read("--all", "--", "--queue", "-h")
        #expect(arguments.words == ["--queue", "-h"] && arguments["queue"] == nil)
        // A value may look like a flag, and be empty.
        #expect(try read("--queue", "--all")["queue"] == "--all")
        #expect(try read("--queue=")["queue"] == "")
        #expect(try read("-")["queue"] == nil)
    }

    @Test(arguments: [
        (["--nope"], "trial has no flag --nope"), (["--queue"], "--queue needs a value"),
        (["--all=yes"], "--all takes no value"),
    ])
    func whatIsWrongIsNamed(_ arguments: [String], _ message: String) {
        let error = #expect(throws: UsageError.self) {
            try CommandArguments(arguments, of: "trial", flags: CommandArgumentsTests.flags)
        }
        #expect(error?.description == message)
    }

    @Test(arguments: ["0", "6", "five", "", "1.0"])
    func numbersHaveBounds(_ text: String) throws {
        let error = #expect(throws: UsageError.self) { try read("--limit", text).integer("limit", 1...5) }
        #expect(error?.description == "--limit must be an integer from 1 to 5, not \(text)")
    }
}

struct ServiceCommandTests {
    @Test func namesAreTheirOwn() {
        #expect(Set(ServiceCommand.all.map(\.name)).count == ServiceCommand.all.count)
        for command in ServiceCommand.all {
            #expect(Set(command.flags.map(\.name)).count == command.flags.count, "\(command.name)")
            // A family's flags are read before it is known which command it is.
            let family = ServiceCommand.all.filter { $0.name.prefix { $0 != " " } == command.name.prefix { $0 != " " } }
            for flag in command.flags {
                let others = family.flatMap(\.flags).filter { $0.name == flag.name }
                #expect(others.allSatisfy { ($0.value == nil) == (flag.value == nil) }, "--\(flag.name)")
            }
        }
        for word in ["rules", "jobs", "queues", "workers", "dead", "cron"] {
            #expect(ServiceCommand.isFirstWord(word) && !ServiceCommand.isFirstWord(word + "x"))
        }
    }

    @Test func theHelpNamesThemAll() {
        for command in ServiceCommand.all { #expect(Help.text.contains("  \(command.usage)  "), "\(command.name)") }
    }

    @Test(arguments: [
        ("plain-1.2_3~", "plain-1.2_3~"), ("a b/c?d&e=f#", "a%20b%2Fc%3Fd%26e%3Df%23"), ("é\r\n", "%C3%A9%0D%0A"),
        ("*/5 +", "%2A%2F5%20%2B"),
    ])
    func textOfUsersIsEscaped(_ text: String, _ escaped: String) {
        #expect(PathText.escaped(text) == escaped)
    }

    @Test(arguments: [
        "gopher://x", "http://", "http://:80", "http://127.0.0.1:port", "http://127.0.0.1:0", "http://127.0.0.1:70000",
        "http://a b:80", "127.0.0.1:80",
    ])
    func aWrongURLIsAUsageError(_ url: String) {
        let error = #expect(throws: UsageError.self) { try ServiceClient(url: url, token: nil) }
        #expect(error?.description.hasPrefix("--url ") == true)
    }

    @Test(arguments: [
        "http://127.0.0.1", "http://localhost:8080/", "http://[::1]", "http://[::1]:8080", "unix:///tmp/x",
    ])
    func aGoodURLIsTaken(_ url: String) throws {
        _ = try ServiceClient(url: url, token: "abc")
        #expect(throws: UsageError.self) { try ServiceClient(url: url, token: "abc\r\nX: y") }
    }
}
