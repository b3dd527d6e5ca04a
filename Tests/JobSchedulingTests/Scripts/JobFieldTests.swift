import Testing

@testable import JobScheduling

/// States and fields are one table, here and in `fields.lua`.
struct JobFieldTests {
    private func table(_ name: String) throws -> [String: String] {
        let text = String(decoding: JobScripts.audit.source, as: UTF8.self)
        let start = try #require(text.firstRange(of: "local \(name) = {"))
        let rest = text[start.upperBound...]
        let end = try #require(rest.firstRange(of: "}"))
        var table: [String: String] = [:]
        for entry in rest[..<end.lowerBound].split(separator: ",") {
            let words = entry.split(separator: "=").map { $0.filter { $0 != "'" && $0 != "\n" } }
            guard words.count == 2 else { continue }
            let name = words[0].filter { $0 != " " }
            #expect(table[name] == nil, "\(name) stands there twice")
            table[name] = words[1].split(separator: " ").joined(separator: " ")
        }
        return table
    }

    @Test func statesAreThose() throws {
        let states = JobStatus.allCases.map { ($0.rawValue, $0.sets.joined(separator: " ")) }
        #expect(try table("SETS") == Dictionary(uniqueKeysWithValues: states))
    }

    @Test func fieldsAreThose() throws {
        let fields = JobField.allCases.map { ($0.rawValue, $0.owner) }
        #expect(try table("FIELDS") == Dictionary(uniqueKeysWithValues: fields))
    }

    /// What is written of a draft is given, or its own.
    @Test func aDraftWritesWhatIsGiven() throws {
        var draft = JobDraft(name: "a", type: "b")
        draft.priority = .low
        draft.retries = 1
        draft.timeoutMs = 1
        draft.unique = JobDraft.Unique(key: "u", forMs: 1)
        draft.conflict = JobDraft.Conflict(name: "n", strategy: .queue, delayMs: 0)
        draft.resources = [("cpu", 1)]
        draft.cache = (1, "d")
        draft.isPreemptible = true
        draft.traceparent = "t"
        let words = draft.fields(inBatch: "b", awaiting: "c")
        for i in stride(from: 0, to: words.count, by: 2) where words[i] != "special" {
            let field = try #require(JobField(rawValue: words[i]), "\(words[i])")
            #expect(field.owner != "kept", "\(words[i])")
        }
    }
}
