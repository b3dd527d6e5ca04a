import Bytes
import EventLoops
import Glibc
import JSON
import Services

/// `command`: runs a program of a directory that the operator has named (setting `command-directory`; without it the
/// kind is off, and jobs of it are refused).
///
/// | member | means |
/// |---|---|
/// | `program` | a file's name in that directory; a link that leads out of it is refused at the run |
/// | `arguments` | up to 256 texts of at most 4096 bytes; there is no shell, so nothing in them means anything |
/// | `stdin` | what the program reads, at most 64 KiB |
/// | `environment` | an object of texts, see `CommandEnvironment` |
///
/// The program works in `/` and runs in a process group of its own. The result is `{exitCode, stdout, stderr}`, with
/// `stdoutCut` or `stderrCut` where there was more than the 64 KiB of each that are kept; bytes that are not UTF-8 are
/// U+FFFD. A job that is told to end has its whole group sent SIGTERM, and SIGKILL 2 s later. What the program has
/// started is killed when the program ends.
///
/// | ended by | outcome |
/// |---|---|
/// | exit 0 | completed |
/// | exit 64 (usage), 65 (data), 126 (not executable), 127 (not found) | failed for good |
/// | exit 75 (temporary failure), every other code, a signal | failed, may be tried again |
/// | no such program, not a file, not executable, a link that leads out | failed for good |
///
/// When the worker is killed (`kill -9`), the kernel kills the program with it (`Subprocess` says what that covers); what
/// the program itself had started is then left to the cgroup that a service manager or a container ends as a whole.
public final class CommandKind: JobKind {
    public struct Config: Sendable {
        var program = ""
        var arguments: [String] = []
        var input: String?
        /// `NAME=value`.
        var environment: [String] = []
    }

    public static let name = "command"
    /// Absolute and without links; nil when the kind is off.
    private let directory: String?

    static let graceUs: Int64 = 2_000_000
    static let permanentCodes: Set<Int> = [64, 65, 126, 127]

    public var missingSetting: String? { directory == nil ? "command-directory" : nil }

    public init(context: ServiceContext) throws {
        directory = try context.process.settings["command-directory"].map {
            try Folders.resolve($0, "command-directory")
        }
    }

    public func config(_ fields: inout Fields) throws(Problem) -> Config {
        guard directory != nil else {
            throw .impossible(fields.name("program"), "cannot be run: the setting command-directory names none")
        }
        var config = Config()
        let name = fields.name("program")
        config.program = try fields.string("program", max: 255).required(name)
        guard !config.program.contains("/"), config.program != ".", !config.program.contains("..") else {
            throw .field(name, "must be a file's name, without / and ..")
        }
        for (i, value) in (try fields.array("arguments", maxCount: 256) ?? []).enumerated() {
            config.arguments.append(try CommandKind.text(value, "\(fields.name("arguments"))[\(i)]", most: 4096))
        }
        if let value = fields.value("stdin") {
            config.input = try CommandKind.text(value, fields.name("stdin"), most: 65_536)
        }
        if let value = fields.value("environment") {
            config.environment = try CommandEnvironment.read(value, fields.name("environment"))
        }
        return config
    }

    public func run(_ config: Config, _ context: JobContext) async throws -> JSONValue? {
        guard let directory else { throw JobFailure("commands are off on this worker") }
        let path = try await BlockingPool.shared.run { CommandKind.resolve(config.program, in: directory) }.get()
        try context.checkCancellation()
        var program = Subprocess.Program(
            path: path, arguments: [config.program] + config.arguments,
            environment: CommandEnvironment.whole(config.environment, context))
        program.input = Array((config.input ?? "").utf8)
        let outcome: Subprocess.Outcome
        do {
            outcome = try await Subprocess.run(program, on: context.loop) { process in
                context.onCancel { process.terminate(graceUs: CommandKind.graceUs) }
            }
        } catch {
            let isPermanent = [ENOEXEC, EACCES, EPERM, ENOENT, ELOOP, E2BIG].contains(error.code)
            throw JobFailure("cannot start \(error)", isPermanent: isPermanent)
        }
        try context.checkCancellation()
        return try CommandKind.result(outcome)
    }

    // MARK: Inside

    static func text(_ value: JSONValue, _ name: String, most: Int) throws(Problem) -> String {
        guard case .string(let text) = value else { throw .field(name, "must be a string") }
        guard text.utf8.count <= most else { throw .field(name, "must be at most \(most) bytes long") }
        guard !text.utf8.contains(0) else { throw .field(name, "must not contain NUL") }
        return text
    }

    /// The program's path without links, when it lies in the directory and can be run.
    private static func resolve(_ program: String, in directory: String) -> Result<String, JobFailure> {
        guard let resolved = realpath(directory + "/" + program, nil) else {
            return .failure(JobFailure("there is no program \(program)", isPermanent: errno != EIO && errno != ENOMEM))
        }
        defer { free(resolved) }
        let path = String(cString: resolved)
        guard path.hasPrefix(directory == "/" ? "/" : directory + "/") else {
            return .failure(JobFailure("\(program) leads out of the command directory", isPermanent: true))
        }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, access(path, X_OK) == 0 else {
            return .failure(JobFailure("\(program) is no file that can be run", isPermanent: true))
        }
        return .success(path)
    }

    private static func result(_ outcome: Subprocess.Outcome) throws(JobFailure) -> JSONValue {
        if outcome.exitCode == 0 {
            var members: [JSONValue.Member] = [
                .init("exitCode", .int(0)), .init("stdout", .string(text(outcome.output))),
                .init("stderr", .string(text(outcome.errors))),
            ]
            if outcome.output.isCut { members.append(.init("stdoutCut", .bool(true))) }
            if outcome.errors.isCut { members.append(.init("stderrCut", .bool(true))) }
            return .object(members)
        }
        // The last words say what was wrong.
        let said = text(outcome.errors).split(whereSeparator: \.isNewline).suffix(5).joined(separator: "\n").suffix(800)
        let how = outcome.exitCode.map { "exit code \($0)" } ?? "ended by signal \(outcome.signal ?? 0)"
        throw JobFailure(
            said.isEmpty ? how : "\(how): \(said)",
            isPermanent: outcome.exitCode.map(permanentCodes.contains) ?? false)
    }

    private static func text(_ captured: Subprocess.Captured) -> String {
        var bytes = captured.bytes[...]
        // A character that the cut went through is left out, not shown as broken.
        if captured.isCut, let start = bytes.suffix(4).lastIndex(where: { $0 & 0xC0 != 0x80 }) {
            let length = bytes[start] >= 0xF0 ? 4 : bytes[start] >= 0xE0 ? 3 : bytes[start] >= 0xC0 ? 2 : 1
            if start + length > bytes.endIndex { bytes = bytes[..<start] }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
