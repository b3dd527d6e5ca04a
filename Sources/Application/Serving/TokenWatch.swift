import EventLoops
import Glibc
import Services
import Telemetry

/// Keeps the tokens up to date with their file, on the first loop: whoever is taken out of it is refused within five
/// seconds, and at once on SIGHUP. A file that is wrong changes nothing.
final class TokenWatch {
    private let path: String
    private let context: ServiceContext
    private var last: FileMark?
    private var isReading = false
    private var mustReadAgain = false
    private var timer: LoopTimer?
    private var waiters: [UnsafeContinuation<Void, Never>] = []

    private static let pollUs: Int64 = 2_000_000

    init(path: String, context: ServiceContext) {
        self.path = path
        self.context = context
    }

    /// Reads the file once more, since it may have changed since it was first read, and then whenever it changes.
    func start() {
        let timer = LoopTimer(loop: context.loop) { [unowned self] in look(isForced: false) }
        self.timer = timer
        timer.start(everyUs: TokenWatch.pollUs)
        look(isForced: false)
    }

    /// Suspends until a look that is under way is over.
    func stop() async {
        timer = nil
        if isReading { await withUnsafeContinuation { waiters.append($0) } }
    }

    /// Reads the file now, whether it looks changed or not.
    func readNow() { look(isForced: true) }

    private func look(isForced: Bool) {
        context.loop.spawn { [self] in await read(isForced: isForced) }
    }

    private func read(isForced: Bool) async {
        if isReading {
            mustReadAgain = mustReadAgain || isForced
            return
        }
        isReading = true
        var forced = isForced
        repeat {
            mustReadAgain = false
            let (path, known) = (path, forced ? nil : last)
            switch await BlockingPool.shared.run({ TokenWatch.look(path, known) }) {
            case .unchanged: break
            case .read(let tokens, let mark):
                last = mark
                take(tokens, isForced: forced)
            case .wrong(let reason, let mark):
                last = mark
                context.log.error(
                    "tokens file not taken; the earlier tokens hold",
                    ["file": .string(path), "reason": .string(reason)])
            }
            forced = true
        } while mustReadAgain && timer != nil
        isReading = false
        for waiter in waiters { waiter.resume() }
        waiters = []
    }

    private func take(_ tokens: Tokens, isForced: Bool) {
        if tokens == context.tokens, !isForced { return }
        context.process.broadcasts.send(tokens, to: Tokens.changes)
        context.log.info("tokens read", ["file": .string(path), "tokens": .int(tokens.count)])
        context.audit.record(AuditEntry(system: "RELOAD", route: "tokens", subject: "\(tokens.count) tokens"))
    }

    // MARK: On the blocking pool

    private enum Look: Sendable {
        case unchanged
        case read(Tokens, FileMark)
        case wrong(String, FileMark)
    }

    private static func look(_ path: String, _ known: FileMark?) -> Look {
        // Without a file, and while it is being replaced, there is nothing to be learnt; a pipe can be read but once.
        guard let mark = FileMark(path), mark.isFile else {
            return known == nil ? .wrong("there is no such file", FileMark()) : gone(known)
        }
        guard mark != known else { return .unchanged }
        let result: Look
        do { result = .read(try TokensFile.read(path), mark) } catch { result = .wrong(error.description, mark) }
        // Written to while it was read: the next look tells.
        return FileMark(path) == mark ? result : .unchanged
    }

    private static func gone(_ known: FileMark?) -> Look {
        known == FileMark() ? .unchanged : .wrong("the file is gone", FileMark())
    }
}

/// What tells one state of a file from another without reading it.
struct FileMark: Sendable, Equatable {
    private var numbers: [Int] = []
    private(set) var isFile = false

    /// Of no file.
    init() {}

    /// nil when there is none.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        isFile = status.st_mode & S_IFMT == S_IFREG
        numbers = [
            Int(truncatingIfNeeded: status.st_dev), Int(truncatingIfNeeded: status.st_ino), Int(status.st_size),
            status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
        ]
    }
}

/// The tokens file as the command line names it.
enum TokensFile {
    static let longestBytes = 1 << 20

    static func read(_ path: String) throws(ConfigurationError) -> Tokens {
        let bytes = try Files.read(path)
        guard bytes.count <= longestBytes else { throw ConfigurationError("\(path): is larger than 1 MiB") }
        let tokens: Tokens
        do { tokens = try Tokens(file: String(decoding: bytes, as: UTF8.self)) } catch {
            throw ConfigurationError("\(path): \(error)")
        }
        // Asked for and empty is a mistake; taken for none, everybody here would be an admin.
        if tokens.isEmpty { throw ConfigurationError("\(path): holds no token") }
        return tokens
    }
}
