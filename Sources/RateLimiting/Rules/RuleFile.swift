import Bytes
import Digests
import EventLoops
import Glibc
import JSON
import Services

/// `--rules FILE`: rules from version control, loaded at start. Each content is applied once, however many replicas start
/// with it and however often, so that changes made since then are not undone.
struct RuleFile: Sendable {
    let path: String
    /// Of its content.
    let digest: String
    private let drafts: [RuleDraft]

    init(path: String) async throws {
        self = try await BlockingPool.shared.run { Result { try RuleFile(reading: path) } }.get()
    }

    private init(reading path: String) throws {
        guard let bytes = RuleFile.read(path) else {
            throw Problem(.invalidRequest, "cannot read the rule file \(path)")
        }
        self.path = path
        do {
            drafts = try RuleChanges.drafts(try bytes.withByteView { try JSONValue(parsing: $0) })
            // What no rules of any Redis could take is refused before Redis is asked.
            _ = try RuleChanges.apply(drafts, to: .empty, prunes: false)
        } catch let problem as Problem {
            throw Problem(problem.kind, "\(path): \(problem.detail)", field: problem.field)
        } catch {
            throw Problem(.invalidRequest, "\(path): \(error)")
        }
        let text = ByteBuffer()
        bytes.withByteView { SHA256.hash($0) }.withByteView { text.append(hex: $0) }
        digest = text.view.string
    }

    /// Applies the content, unless Redis knows that it was applied.
    func apply(to store: RuleStore) async throws {
        let outcome = try await store.change(digest: digest) { [drafts] rules in
            try await RuleChanges.applyOffLoop(drafts, to: rules, prunes: false)
        }
        switch outcome {
        case .changed(let count, let revision):
            store.context.log.info(
                "rule file applied", ["file": .string(path), "changes": .int(count), "revision": .int(revision)])
        case .alreadyApplied, .answeredBefore:
            store.context.log.info("rule file had been applied before", ["file": .string(path)])
        }
    }

    private static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 { return nil }
            if count == 0 { return bytes }
            bytes += chunk.prefix(count)
        }
    }
}
