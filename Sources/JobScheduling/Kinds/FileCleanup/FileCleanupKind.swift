import EventLoops
import Glibc
import JSON
import Services

/// `file_cleanup`: deletes old files below a folder that the operator has named (setting `cleanup-root`; without it the
/// kind is off, and jobs of it are refused).
///
/// | member | means | default |
/// |---|---|---|
/// | `path` | a folder below the root, `logs/old`; `.` is the root itself | required |
/// | `olderThanMs` | files that were changed at least this long ago, by the worker's clock; a number or `"7d"` | required |
/// | `pattern` | of the file's name: `*` any run, `?` one character; `*` is also what begins with a dot | `*` |
/// | `recursive` | also in folders below, down to 64 levels | false |
/// | `dryRun` | only says what it would delete | false |
/// | `maxFiles` | ends after so many matching files, 1 to 1,000,000 | 10,000 |
///
/// Only plain files are deleted; folders stay, empty ones too. Links are neither followed nor deleted: every step opens
/// the next folder from the one before with O_NOFOLLOW, so that nothing outside the root is reached even when names are
/// exchanged meanwhile.
///
/// The result is `{matched, deleted, bytes, failed, names, dryRun}`: `bytes` of what matched, `names` of the first 100
/// below `path`; `failed` counts what could not be deleted or opened, with `errors` (the first 10); `more: true` when
/// `maxFiles` ended it. Progress is `{matched, deleted}`. An execution that is told to end stops between two files.
public final class FileCleanupKind: JobKind {
    public struct Config: Sendable {
        var parts: [String] = []
        var pattern = WildcardPattern("*")
        var olderThanMs = 0
        var isDryRun = false
        var isRecursive = false
        var mostFiles = 10_000
    }

    public static let name = "file_cleanup"
    private let root: String?

    public var missingSetting: String? { root == nil ? "cleanup-root" : nil }

    public init(context: ServiceContext) throws {
        root = try context.process.settings["cleanup-root"].map { try Folders.resolve($0, "cleanup-root") }
    }

    public func config(_ fields: inout Fields) throws(Problem) -> Config {
        guard root != nil else {
            throw .impossible(fields.name("path"), "cannot be cleaned: the setting cleanup-root names no folder")
        }
        var config = Config()
        let path = try fields.string("path", max: 1024).required(fields.name("path"))
        config.parts = try Folders.parts(path, fields.name("path"))
        config.olderThanMs = try fields.durationMs("olderThanMs", in: 0...3_155_760_000_000)
            .required(fields.name("olderThanMs"))
        if let text = try fields.string("pattern", max: 255) {
            guard !text.contains("/") else {
                throw .field(fields.name("pattern"), "must be a pattern of names, without /")
            }
            config.pattern = WildcardPattern(text)
        }
        config.isDryRun = try fields.bool("dryRun") ?? false
        config.isRecursive = try fields.bool("recursive") ?? false
        config.mostFiles = try fields.int("maxFiles", in: 1...1_000_000) ?? 10_000
        return config
    }

    public func run(_ config: Config, _ context: JobContext) async throws -> JSONValue? {
        guard let root else { throw JobFailure("file_cleanup is off on this worker") }
        try context.checkCancellation()
        let walk = CleanupWalk(config, root: root, nowUs: WallClock.nowUs())
        while true {
            let step = await BlockingPool.shared.run { walk.slice() }
            switch step {
            case .more(let matched, let deleted):
                context.progress(.object([.init("matched", .int(matched)), .init("deleted", .int(deleted))]))
                try context.checkCancellation()
            case .done(let result): return result
            case .failed(let failure): throw failure
            }
        }
    }
}
