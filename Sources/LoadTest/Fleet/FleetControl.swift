import EventLoops
import Glibc
import JSON

/// Does things to a fleet by its own program, `deploy/fleet VERB … --dir DIR`, and asks it what there is.
struct FleetControl: Sendable {
    struct Process: Equatable, Sendable {
        var name: String
        var role: String
        var pid: Int?
        var port: Int
    }

    /// An absolute path.
    let program: String
    let directory: String

    init(_ options: MixedOptions) throws(UsageError) {
        guard let path = realpath(options.fleetProgram, nil) else {
            throw UsageError(description: "--fleet: there is no \(options.fleetProgram)")
        }
        program = String(cString: path)
        free(path)
        directory = options.directory ?? ""
    }

    /// Does it, on a thread that may block; nil when it went well, else what went wrong.
    func perform(_ words: [String]) async -> String? {
        await BlockingPool.shared.run { [self] in
            let (status, output) = run(words)
            return status == 0 ? nil : "\(words.joined(separator: " ")): \(output.suffix(500))"
        }
    }

    /// The fleet's processes; empty when it does not say.
    func processes() async -> [Process] {
        await BlockingPool.shared.run { [self] in FleetControl.parse(run(["status", "--json"]).output) }
    }

    /// Reads `{"processes":[{"name","role","state","pid","port"}]}`.
    static func parse(_ text: String) -> [Process] {
        guard let json = text.withByteView({ try? JSONValue(parsing: $0) }), case .array(let list)? = json["processes"]
        else { return [] }
        return list.compactMap { one in
            guard let name = one["name"]?.text, let role = one["role"]?.text else { return nil }
            return Process(name: name, role: role, pid: one["pid"]?.int, port: one["port"]?.int ?? 0)
        }
    }

    /// Not as `Subprocess`, which ends what its program leaves behind: here that is the fleet.
    private func run(_ words: [String]) -> (status: Int32, output: String) {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { return (-1, "no pipe") }
        defer { close(ends[0]) }
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&files, ends[1], 1)
        posix_spawn_file_actions_adddup2(&files, ends[1], 2)
        let arguments = ([program] + words + ["--dir", directory]).map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var pid = pid_t()
        let result = posix_spawn(&pid, program, &files, nil, arguments, environ)
        close(ends[1])
        guard result == 0 else { return (-1, String(cString: strerror(result))) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(ends[0], &piece, piece.count)
            if count > 0 { bytes += piece[..<count] } else if count == 0 || errno != EINTR { break }
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return (status, String(decoding: bytes, as: UTF8.self))
    }
}
