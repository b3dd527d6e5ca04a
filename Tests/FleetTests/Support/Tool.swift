import EventLoops
import Glibc
import JSON
import TestSupport

/// A program of the machine's, or a script of the tree's, run to its end.
struct Tool {
    let code: Int
    /// Standard output alone.
    let output: String
    let errors: String

    /// Both, for what a failed expectation shows.
    var said: String { output + errors }

    @discardableResult
    static func run(_ words: [String], in workingFolder: String = Tree.root) async throws -> Tool {
        let folder = try TemporaryFolder()
        let process = try ChildProcess(
            ["env", "-C", workingFolder] + words, output: folder.path + "/output", errors: folder.path + "/errors")
        guard await eventually({ process.hasEnded }) else { throw SetUpFailure("\(words) has not ended") }
        let status = process.wait()
        return Tool(
            code: status & 0x7F == 0 ? Int(status >> 8 & 0xFF) : -Int(status & 0x7F),
            output: try Tree.read(folder.path + "/output"), errors: try Tree.read(folder.path + "/errors"))
    }

    @discardableResult
    static func run(_ words: String...) async throws -> Tool { try await run(words) }
}

/// A fleet that `deploy/fleet` started with the program under test; `down` ends it, and at the latest the end of this object.
final class FleetScript: Sendable {
    /// One process of it, as `status` tells.
    struct Process: Equatable {
        let name: String
        let state: String
        let pid: Int?
        let port: Int
    }

    /// The line that `up` printed.
    let summary: JSONValue
    private let folder: TemporaryFolder

    private static let script = Tree.root + "/deploy/fleet"

    /// - Parameter options: of `deploy/fleet up`.
    init(_ options: String...) async throws {
        let folder = try TemporaryFolder()
        let program = try Tree.executable
        let up = try await Tool.run(
            [FleetScript.script, "up", "--dir", folder.path + "/fleet", "--program", program] + options)
        let lines = up.output.split(separator: "\n")
        guard up.code == 0, lines.count == 1,
            let summary = String(lines[0]).withByteView({ try? JSONValue(parsing: $0) })
        else { throw SetUpFailure("deploy/fleet up \(options): \(up.code) \(up.said)") }
        (self.folder, self.summary) = (folder, summary)
    }

    deinit {
        // Blocks: nothing may be left, whatever made the test end.
        guard let process = try? ChildProcess(arguments(["down"]), output: "/dev/null") else { return }
        process.wait()
    }

    var directory: String { folder.path + "/fleet" }

    func text(_ member: String) -> String { if case .string(let text)? = summary[member] { text } else { "" } }

    /// A connection to the load balancer.
    func connect() throws -> HTTPConnection {
        let port = text("url").split(separator: ":").last.flatMap { Int($0) }
        return try HTTPConnection(.tcp(host: "127.0.0.1", port: port ?? 0))
    }

    /// Runs a command of the script on this fleet.
    @discardableResult
    func callAsFunction(_ words: String...) async throws -> Tool { try await Tool.run(arguments(words)) }

    func processes() async throws -> [Process] {
        let status = try await self("status", "--json")
        guard case .array(let list)? = status.output.withByteView({ try? JSONValue(parsing: $0) })?["processes"] else {
            throw SetUpFailure("status --json: \(status.said)")
        }
        return list.map { process in
            func text(_ name: String) -> String { if case .string(let text)? = process[name] { text } else { "" } }
            func number(_ name: String) -> Int? {
                if case .int(let number)? = process[name] { Int(number) } else { nil }
            }
            return Process(name: text("name"), state: text("state"), pid: number("pid"), port: number("port") ?? 0)
        }
    }

    func process(_ name: String) async throws -> Process {
        guard let process = try await processes().first(where: { $0.name == name }) else {
            throw SetUpFailure("there is no \(name)")
        }
        return process
    }

    private func arguments(_ words: [String]) -> [String] {
        // Behind a `--` everything is flags of a server's.
        let own = words.prefix { $0 != "--" }
        return [FleetScript.script] + own + ["--dir", directory] + words.dropFirst(own.count)
    }
}
