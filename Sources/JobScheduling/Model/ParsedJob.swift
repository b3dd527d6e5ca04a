import Services

/// A job as it was read, every value of its own checked. What it waits for may be named as another job of the same request,
/// so it cannot be stored: only with every name resolved does it become a `JobDraft`.
struct ParsedJob {
    /// What it waits for, as it was written.
    struct NamedDependency {
        enum Subject {
            case job(JobID)
            case name(String)
        }

        /// The field that says so, for refusals.
        var field: String
        var subject: Subject
        var condition: Dependency.Condition
    }

    /// Without what it waits for.
    private let draft: JobDraft
    let dependencies: [NamedDependency]

    init(_ draft: JobDraft, dependencies: [NamedDependency]) {
        self.draft = draft
        self.dependencies = dependencies
    }

    var name: String { draft.name }
    var queue: QueueName { draft.queue }

    /// The job of a request that has no other jobs to name.
    func alone() throws(Problem) -> JobDraft {
        try resolved { name, field throws(Problem) in
            throw .impossible(field, "names a job that does not exist: \(name)")
        }
    }

    /// - Parameter place: the place (from 1) of the job of a name in the request; `field` says where it is named.
    func resolved(_ place: (_ name: String, _ field: String) throws(Problem) -> Int) throws(Problem) -> JobDraft {
        var draft = draft
        for dependency in dependencies {
            let reference: Dependency.Reference
            switch dependency.subject {
            case .job(let id): reference = .job(id)
            case .name(let name): reference = .place(try place(name, dependency.field))
            }
            draft.dependencies.append(Dependency(reference: reference, condition: dependency.condition))
        }
        return draft
    }
}
