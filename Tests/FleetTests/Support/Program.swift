import EventLoops
import Glibc
import JSON
import TestSupport

/// A `quartermaster` process with its standard output and error in files of its own. Its environment holds nothing but
/// what the test says.
final class Program: Sendable {
    let process: ChildProcess
    private let folder: TemporaryFolder

    /// - Parameter workingFolder: where it is started; where the tests are, unless said.
    init(_ arguments: [String], environment: [String: String] = [:], workingFolder: String = ".") throws {
        folder = try TemporaryFolder()
        var variables = ["HOME": folder.path, "SWIFT_BACKTRACE": "enable=no"]
        for name in ["PATH", "LD_LIBRARY_PATH", "TSAN_OPTIONS", "ASAN_OPTIONS"] { variables[name] = Environment[name] }
        variables.merge(environment) { $1 }
        let words = variables.map { "\($0.key)=\($0.value)" }
        process = try ChildProcess(
            ["env", "-i", "-C", workingFolder] + words + [try Tree.executable] + arguments,
            output: folder.path + "/output",
            errors: folder.path + "/errors")
    }

    /// What it has written so far.
    var output: String { (try? Tree.read(folder.path + "/output")) ?? "" }
    var errors: String { (try? Tree.read(folder.path + "/errors")) ?? "" }

    /// Waits until the process has ended by itself; its exit code, or minus the signal that ended it.
    func exitCode() async throws -> Int {
        guard await eventually({ process.hasEnded }) else { throw SetUpFailure("it has not ended: \(errors)") }
        let status = process.wait()
        return status & 0x7F == 0 ? Int(status >> 8 & 0xFF) : -Int(status & 0x7F)
    }

    /// Asks it to end and waits until it has; its exit code.
    func terminate() async throws -> Int {
        process.signal(SIGTERM)
        return try await exitCode()
    }

    /// Runs a command to its end.
    static func run(
        _ arguments: String..., environment: [String: String] = [:]
    ) async throws -> (code: Int, output: String, errors: String) {
        let program = try Program(arguments, environment: environment)
        let code = try await program.exitCode()
        return (code, program.output, program.errors)
    }
}

/// A server process that has said where it listens.
final class Replica: Sendable {
    let program: Program
    /// As it stands in its line on standard output.
    let url: String

    /// - Parameter arguments: the command line; a port of the loopback is chosen unless they say where to listen.
    init(_ arguments: [String], environment: [String: String] = [:]) async throws {
        let chooses = !arguments.contains("--port") && !arguments.contains("--socket")
        let program = try Program(arguments + (chooses ? ["--port", "0"] : []), environment: environment)
        let isUp = await eventually { program.output.contains("\n") || program.process.hasEnded }
        guard isUp, !program.process.hasEnded, let url = Replica.url(program.output) else {
            throw SetUpFailure("\(arguments) did not start: \(program.output)\(program.errors)")
        }
        self.program = program
        self.url = url
    }

    /// `serve` on this Redis. Checks may wait long, so that a busy machine is not taken for a failing Redis.
    static func serve(_ redis: RedisServer, _ arguments: String..., budgetMs: Int = 10_000) async throws -> Replica {
        try await Replica(["serve", "--redis", redis.url, "--check-budget", String(budgetMs)] + arguments)
    }

    var port: Int { Int(url.split(separator: ":").last ?? "") ?? 0 }

    func connect() throws -> HTTPConnection {
        let isUnix = url.hasPrefix("unix://")
        return try HTTPConnection(isUnix ? .unix(path: String(url.dropFirst(7))) : .tcp(host: "127.0.0.1", port: port))
    }

    /// One request on a connection of its own.
    @discardableResult
    func request(
        _ method: String, _ target: String, headers: [(String, String)] = [], body: String? = nil
    ) throws -> HTTPAnswer {
        try connect().request(method, target, headers: headers, body: body)
    }

    /// Makes a rule; anything but 201 throws.
    func rule(_ json: String) throws {
        let answer = try request("POST", "/api/rate-limits", body: json)
        guard answer.status == 201 else { throw SetUpFailure("no rule: \(answer.status) \(answer.text)") }
    }

    func check(_ json: String) throws -> HTTPAnswer { try request("POST", "/api/rate-limits/check", body: json) }

    /// The URL in the one line that a server writes to standard output.
    static func url(_ output: String) -> String? {
        guard output.hasSuffix("\n"), output.filter({ $0 == "\n" }).count == 1,
            let value = output.withByteView({ try? JSONValue(parsing: $0) }), case .object(let members) = value,
            members.count == 1, members[0].key == "listening", case .string(let url) = members[0].value
        else { return nil }
        return url
    }
}
