import Bytes
import Digests
import EventLoops
import Glibc
import JSON
import Services

/// `--rules FILE`: rules from version control, loaded at start. Each content is applied once, however many replicas start
/// with it and however often, so that changes made since then are not undone.
enum RuleFile {
    /// What a file says, and the digest of its content.
    struct Content {
        var drafts: [RuleDraft]
        var digest: String
    }

    static func load(_ path: String, into store: RuleStore) async throws {
        let content = try await content(path)
        let outcome = try await store.change(digest: content.digest) { rules in
            let changes = try RuleChanges.apply(content.drafts, to: rules, prunes: false)
            return RuleStore.Plan(changes, changes.count)
        }
        switch outcome {
        case .changed(let count, let revision):
            store.context.log.info(
                "rule file applied", ["file": .string(path), "changes": .int(count), "revision": .int(revision)])
        case .alreadyApplied, .answeredBefore:
            store.context.log.info("rule file had been applied before", ["file": .string(path)])
        }
    }

    /// Reads a file and refuses what no rules of any Redis could take.
    static func content(_ path: String) async throws(Problem) -> Content {
        guard let bytes = await BlockingPool.shared.run({ RuleFile.read(path) }) else {
            throw Problem(.invalidRequest, "cannot read the rule file \(path)")
        }
        let drafts: [RuleDraft]
        do {
            drafts = try RuleChanges.drafts(try bytes.withByteView { try JSONValue(parsing: $0) })
            _ = try RuleChanges.apply(drafts, to: .empty, prunes: false)
        } catch let problem as Problem {
            throw Problem(problem.kind, "\(path): \(problem.detail)", field: problem.field)
        } catch {
            throw Problem(.invalidRequest, "\(path): \(error)")
        }
        let text = ByteBuffer()
        bytes.withByteView { SHA256.hash($0) }.withByteView { text.append(hex: $0) }
        return Content(drafts: drafts, digest: text.view.string)
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
