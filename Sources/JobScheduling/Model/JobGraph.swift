import Services

/// Dependencies among the jobs of one request, by name.
enum JobGraph {
    /// Resolves the names of other jobs of the same request to their places.
    /// - Throws: when a name is none of the request's, is not unique, or jobs wait for each other in a circle.
    static func resolve(_ jobs: [ParsedJob]) throws(Problem) -> [JobDraft] {
        var places: [String: [Int]] = [:]
        if jobs.contains(where: { !$0.dependencies.isEmpty }) {
            for (i, job) in jobs.enumerated() { places[job.name, default: []].append(i) }
        }
        var drafts: [JobDraft] = []
        drafts.reserveCapacity(jobs.count)
        var edges: [[Int]] = Array(repeating: [], count: jobs.count)
        for (i, job) in jobs.enumerated() {
            let draft = try job.resolved { name, field throws(Problem) in
                guard let found = places[name] else {
                    throw .impossible(field, "names a job that does not exist: \(name)")
                }
                guard found.count == 1 else { throw .impossible(field, "names several jobs of this request: \(name)") }
                edges[i].append(found[0])
                return found[0] + 1
            }
            drafts.append(draft)
        }
        if let cycle = cycle(edges) {
            let names = (cycle + [cycle[0]]).map { drafts[$0].name }.joined(separator: " → ")
            throw .impossible("jobs[\(cycle[0])].dependencies", "form a cycle: \(names)")
        }
        return drafts
    }

    /// A circle in a graph, as places in the order of its edges; nil when there is none. Depth first, without recursion.
    static func cycle(_ edges: [[Int]]) -> [Int]? {
        enum Mark { case new, open, done }
        var marks = Array(repeating: Mark.new, count: edges.count)
        for start in edges.indices where marks[start] == .new {
            var path = [(node: start, next: 0)]
            marks[start] = .open
            while let top = path.last {
                guard top.next < edges[top.node].count else {
                    marks[top.node] = .done
                    path.removeLast()
                    continue
                }
                path[path.count - 1].next += 1
                let target = edges[top.node][top.next]
                switch marks[target] {
                case .new:
                    marks[target] = .open
                    path.append((target, 0))
                case .open:
                    let from = path.firstIndex { $0.node == target }!
                    return path[from...].map(\.node)
                case .done: break
                }
            }
        }
        return nil
    }
}
