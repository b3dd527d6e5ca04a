import EventLoops
import Glibc
import JSON
import Synchronization

/// A cleanup under way: it goes on, a slice at a time, on whichever thread of the pool.
final class CleanupWalk: Sendable {
    enum Step: Sendable {
        case more(matched: Int, deleted: Int)
        case done(JSONValue)
        case failed(JobFailure)
    }

    private let config: FileCleanupKind.Config
    private let root: String
    /// Files that were changed at this time or before (µs since the epoch).
    private let changedByUs: Int64
    private let state = Mutex(State())

    static let deepest = 64
    private static let sliceUs: Int64 = 20_000
    private static let sliceEntries = 1000

    init(_ config: FileCleanupKind.Config, root: String, nowUs: Int64) {
        self.config = config
        self.root = root
        changedByUs = nowUs - Int64(config.olderThanMs) * 1000
    }

    /// What has been found, and the folders that are open.
    private struct State: ~Copyable {
        var folders: [Folder] = []
        var isOpen = false
        var matched = 0
        var deleted = 0
        var bytes = 0
        var failed = 0
        var names: [String] = []
        var errors: [String] = []
        var isFull = false

        mutating func close() {
            for folder in folders { closedir(folder.stream) }
            folders = []
        }

        deinit { for folder in folders { closedir(folder.stream) } }
    }

    private struct Folder {
        let stream: OpaquePointer
        /// Below the job's path, with a slash at its end.
        let prefix: String
    }

    /// Goes on for about 20 ms.
    func slice() -> Step {
        state.withLock { state in
            if !state.isOpen, let failure = open(&state) { return .failed(failure) }
            let endUs = MonotonicClock.nowUs() + CleanupWalk.sliceUs
            for _ in 0..<CleanupWalk.sliceEntries {
                if state.isFull || state.folders.isEmpty {
                    state.close()
                    return .done(result(state))
                }
                next(&state)
                if MonotonicClock.nowUs() > endUs { break }
            }
            return .more(matched: state.matched, deleted: state.deleted)
        }
    }

    // MARK: Walking

    private func open(_ state: inout State) -> JobFailure? {
        state.isOpen = true
        switch Folders.open(config.parts, below: root, O_RDONLY | O_DIRECTORY) {
        case .failure(let sought): return sought.failure
        case .success(let descriptor):
            push(descriptor, "", &state)
            return nil
        }
    }

    private func push(_ descriptor: Int32, _ prefix: String, _ state: inout State) {
        guard let stream = fdopendir(descriptor) else {
            note(prefix, errno, &state)
            close(descriptor)
            return
        }
        state.folders.append(Folder(stream: stream, prefix: prefix))
    }

    /// Looks at one entry of the innermost folder.
    private func next(_ state: inout State) {
        guard let folder = state.folders.last else { return }
        errno = 0
        guard let entry = readdir(folder.stream) else {
            if errno != 0 { note(folder.prefix, errno, &state) }
            closedir(folder.stream)
            state.folders.removeLast()
            return
        }
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
        if name == [0x2E] || name == [0x2E, 0x2E] { return }
        let descriptor = dirfd(folder.stream)
        let path = name.map { CChar(bitPattern: $0) } + [0]
        var status = stat()
        guard fstatat(descriptor, path, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            if errno != ENOENT { note(folder.prefix + String(decoding: name, as: UTF8.self), errno, &state) }
            return
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG where config.pattern.matches(name) && CleanupWalk.changedUs(status) <= changedByUs:
            take(folder.prefix + String(decoding: name, as: UTF8.self), path, descriptor, Int(status.st_size), &state)
        case S_IFDIR where config.isRecursive:
            enter(folder.prefix + String(decoding: name, as: UTF8.self) + "/", path, descriptor, &state)
        default: break
        }
    }

    private func take(_ name: String, _ path: [CChar], _ folder: Int32, _ size: Int, _ state: inout State) {
        if state.matched == config.mostFiles {
            state.isFull = true
            return
        }
        if !config.isDryRun {
            guard unlinkat(folder, path, 0) == 0 else {
                // Somebody else was faster: it is not there any more, which is what was wanted.
                if errno != ENOENT { note(name, errno, &state) }
                return
            }
            state.deleted += 1
        }
        state.matched += 1
        state.bytes += size
        if state.names.count < 100 { state.names.append(name) }
    }

    private func enter(_ prefix: String, _ path: [CChar], _ folder: Int32, _ state: inout State) {
        guard state.folders.count < CleanupWalk.deepest else { return note(prefix, ENAMETOOLONG, &state) }
        let descriptor = openat(folder, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno != ENOENT { note(prefix, errno, &state) }
            return
        }
        push(descriptor, prefix, &state)
    }

    private func note(_ name: String, _ code: Int32, _ state: inout State) {
        state.failed += 1
        if state.errors.count < 10 { state.errors.append("\(name): \(String(cString: strerror(code)))") }
    }

    private static func changedUs(_ status: stat) -> Int64 {
        Int64(status.st_mtim.tv_sec) * 1_000_000 + Int64(status.st_mtim.tv_nsec) / 1000
    }

    private func result(_ state: borrowing State) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("matched", .int(state.matched)), .init("deleted", .int(state.deleted)),
            .init("bytes", .int(state.bytes)), .init("failed", .int(state.failed)),
            .init("names", .array(state.names.map(JSONValue.string))), .init("dryRun", .bool(config.isDryRun)),
        ]
        if !state.errors.isEmpty { members.append(.init("errors", .array(state.errors.map(JSONValue.string)))) }
        if state.isFull { members.append(.init("more", .bool(true))) }
        return .object(members)
    }
}
