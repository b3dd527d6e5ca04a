import Bytes

/// All rules' endpoint patterns as one tree over path segments: a request walks it once, whatever the number of rules.
struct EndpointIndex: Sendable {
    private struct Node: Sendable {
        var children = ByteTable<Int32>()
        var parameter: Int32 = -1
        /// Rules whose pattern ends here.
        var here: [Int32] = []
        /// Rules whose pattern ends in `prefix*` here.
        var rests: [(prefix: [UInt8], rule: Int32)] = []
    }

    private var nodes = [Node()]
    /// Rules for any endpoint.
    private var anywhere: [Int32] = []

    mutating func insert(_ pattern: EndpointPattern?, rule: Int32) {
        guard let pattern else {
            anywhere.append(rule)
            return
        }
        var at = 0
        for segment in pattern.segments {
            switch segment {
            case .literal(let text):
                let known = nodes[at].children[text, default: -1]
                let next = known >= 0 ? known : addNode()
                nodes[at].children[text, default: -1] = next
                at = Int(next)
            case .parameter:
                if nodes[at].parameter < 0 {
                    let fresh = addNode()
                    nodes[at].parameter = fresh
                }
                at = Int(nodes[at].parameter)
            }
        }
        if let prefix = pattern.restPrefix {
            nodes[at].rests.append((prefix, rule))
        } else {
            nodes[at].here.append(rule)
        }
    }

    private mutating func addNode() -> Int32 {
        nodes.append(Node())
        return Int32(nodes.count - 1)
    }

    /// Calls `body` with every rule whose pattern matches the path, each once.
    func forEachMatch(_ path: ByteView, _ body: (Int32) -> Void) {
        for rule in anywhere { body(rule) }
        guard nodes.count > 1 || !nodes[0].rests.isEmpty, path.count > 0, path[0] == UInt8(ascii: "/") else { return }
        walk(0, path.dropFirst(1), depth: 0, body)
    }

    /// - Parameter rest: what follows the `/` after the segments walked so far.
    private func walk(_ at: Int, _ rest: ByteView, depth: Int, _ body: (Int32) -> Void) {
        for (prefix, rule) in nodes[at].rests where prefix.withByteView({ rest.hasPrefix($0) }) { body(rule) }
        guard depth < EndpointPattern.mostSegments else { return }
        let end = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.count
        let segment = rest.slice(0, end)
        let isLast = end == rest.count
        if let child = nodes[at].children[segment] { step(Int(child), rest, end, isLast, depth, body) }
        if nodes[at].parameter >= 0, !segment.isEmpty {
            step(Int(nodes[at].parameter), rest, end, isLast, depth, body)
        }
    }

    private func step(_ next: Int, _ rest: ByteView, _ end: Int, _ isLast: Bool, _ depth: Int, _ body: (Int32) -> Void)
    {
        if isLast {
            for rule in nodes[next].here { body(rule) }
        } else {
            walk(next, rest.dropFirst(end + 1), depth: depth + 1, body)
        }
    }
}
