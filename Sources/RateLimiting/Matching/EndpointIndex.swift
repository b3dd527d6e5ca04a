import Bytes

/// All rules' endpoint patterns as one tree over path segments: a request walks it once, whatever the number of rules.
/// Patterns that end in `prefix*` are looked up by their prefix, once for each length that prefixes at a node have.
///
/// The tree lies in arrays of plain values, with places instead of references: every request of every loop reads it, and
/// counting references to shared objects would cost more than the walk.
struct EndpointIndex: Sendable {
    private struct Node {
        var parameter: Int32 = -1
        /// Rules whose pattern ends here.
        var here = List()
        /// The first length that prefixes of patterns that end in `prefix*` here have, in `lengths`.
        var lengths: Int32 = -1
    }

    /// Where a list of `ends` begins and ends, -1 when it is empty.
    private struct List {
        var first: Int32 = -1
        var last: Int32 = -1
    }

    /// The end of a pattern.
    private struct End {
        let rule: Int32
        var next: Int32 = -1
    }

    private struct Length {
        let count: Int32
        let next: Int32
    }

    /// A stretch of `texts`.
    private struct Text {
        var start: Int32 = 0
        var count: Int32 = 0
    }

    /// A literal segment below a node, or a prefix of one, in a hash table over all nodes. A prefix leads to a node of its
    /// own, at which the patterns end.
    private struct Child {
        var hash: UInt64 = 0
        var parent: Int32 = -1
        var node: Int32 = -1
        var isPrefix = false
        var segment = Text()
    }

    private var nodes = [Node()]
    private var ends: [End] = []
    private var lengths: [Length] = []
    private var texts: [UInt8] = []
    private var children = [Child](repeating: Child(), count: 16)
    private var childCount = 0
    /// Rules for any endpoint.
    private var anywhere: [Int32] = []
    private let seed = UInt64.random(in: .min ... .max)

    // MARK: Making

    mutating func insert(_ pattern: EndpointPattern?, rule: Int32) {
        guard let pattern else {
            anywhere.append(rule)
            return
        }
        var at: Int32 = 0
        for segment in pattern.segments {
            switch segment {
            case .literal(let text): at = child(text, isPrefix: false, of: at)
            case .parameter:
                if nodes[Int(at)].parameter < 0 { nodes[Int(at)].parameter = addNode() }
                at = nodes[Int(at)].parameter
            }
        }
        if let prefix = pattern.restPrefix {
            addLength(Int32(prefix.count), at: Int(at))
            at = child(prefix, isPrefix: true, of: at)
        }
        let end = Int32(ends.count)
        ends.append(End(rule: rule))
        let last = nodes[Int(at)].here.last
        if last < 0 { nodes[Int(at)].here.first = end } else { ends[Int(last)].next = end }
        nodes[Int(at)].here.last = end
    }

    private mutating func addLength(_ count: Int32, at node: Int) {
        var next = nodes[node].lengths
        while next >= 0 {
            if lengths[Int(next)].count == count { return }
            next = lengths[Int(next)].next
        }
        lengths.append(Length(count: count, next: nodes[node].lengths))
        nodes[node].lengths = Int32(lengths.count - 1)
    }

    private mutating func child(_ text: [UInt8], isPrefix: Bool, of parent: Int32) -> Int32 {
        let (hash, known) = text.withByteView { text in
            walk { walk in
                let hash = walk.hash(text, parent)
                return (hash, walk.child(hash, text, isPrefix: isPrefix, of: parent))
            }
        }
        if known >= 0 { return known }
        let fresh = addNode()
        if (childCount + 1) * 2 > children.count { grow() }
        put(Child(hash: hash, parent: parent, node: fresh, isPrefix: isPrefix, segment: keep(text)))
        childCount += 1
        return fresh
    }

    private mutating func addNode() -> Int32 {
        nodes.append(Node())
        return Int32(nodes.count - 1)
    }

    private mutating func keep(_ text: [UInt8]) -> Text {
        texts += text
        return Text(start: Int32(texts.count - text.count), count: Int32(text.count))
    }

    private mutating func put(_ child: Child) {
        var slot = Int(truncatingIfNeeded: child.hash) & (children.count - 1)
        while children[slot].node >= 0 { slot = (slot + 1) & (children.count - 1) }
        children[slot] = child
    }

    private mutating func grow() {
        let old = children
        children = Array(repeating: Child(), count: old.count * 2)
        for child in old where child.node >= 0 { put(child) }
    }

    // MARK: Finding

    /// Appends every rule whose pattern matches the path, each once. Patterns and paths are folded.
    func find(_ path: ByteView, _ found: inout [Int32]) {
        found += anywhere
        guard !ends.isEmpty, path.count > 0, path[0] == UInt8(ascii: "/") else { return }
        walk { $0.visit(0, path.dropFirst(1), depth: 0, &found) }
    }

    @inline(__always)
    private func walk<Result>(_ body: (Walk) -> Result) -> Result {
        nodes.withUnsafeBufferPointer { nodes in
            ends.withUnsafeBufferPointer { ends in
                texts.withUnsafeBufferPointer { texts in
                    children.withUnsafeBufferPointer { children in
                        lengths.withUnsafeBufferPointer { lengths in
                            body(
                                Walk(
                                    nodes: nodes, ends: ends, texts: ByteView(texts), children: children,
                                    lengths: lengths, seed: seed))
                        }
                    }
                }
            }
        }
    }

    private struct Walk {
        let nodes: UnsafeBufferPointer<Node>
        let ends: UnsafeBufferPointer<End>
        let texts: ByteView
        let children: UnsafeBufferPointer<Child>
        let lengths: UnsafeBufferPointer<Length>
        let seed: UInt64

        func hash(_ segment: ByteView, _ parent: Int32) -> UInt64 {
            segment.hash(seed: seed ^ UInt64(truncatingIfNeeded: parent) &* 0x9E37_79B9_7F4A_7C15)
        }

        /// The node of a literal segment below `parent`, or of a prefix, -1 when there is none.
        func child(_ hash: UInt64, _ segment: ByteView, isPrefix: Bool, of parent: Int32) -> Int32 {
            var slot = Int(truncatingIfNeeded: hash) & (children.count - 1)
            while children[slot].node >= 0 {
                let child = children[slot]
                if child.hash == hash, child.parent == parent, child.isPrefix == isPrefix,
                    text(child.segment) == segment
                {
                    return child.node
                }
                slot = (slot + 1) & (children.count - 1)
            }
            return -1
        }

        private func text(_ text: Text) -> ByteView {
            texts.slice(Int(text.start), Int(text.start) + Int(text.count))
        }

        /// - Parameter rest: what follows the `/` after the segments walked so far.
        func visit(_ at: Int32, _ rest: ByteView, depth: Int, _ found: inout [Int32]) {
            let node = nodes[Int(at)]
            appendPrefixed(at, rest, &found)
            guard depth < EndpointPattern.mostSegments else { return }
            let end = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.count
            let segment = rest.slice(0, end)
            let child = child(hash(segment, at), segment, isPrefix: false, of: at)
            if child >= 0 { step(child, rest, end, depth, &found) }
            if node.parameter >= 0, !segment.isEmpty { step(node.parameter, rest, end, depth, &found) }
        }

        private func step(_ next: Int32, _ rest: ByteView, _ end: Int, _ depth: Int, _ found: inout [Int32]) {
            guard end == rest.count else { return visit(next, rest.dropFirst(end + 1), depth: depth + 1, &found) }
            appendEnds(next, &found)
            // A folded path has no slash at its end: `/a` is `/a/`, which `/a/*` is for.
            appendPrefixed(next, .empty, &found)
        }

        /// Appends the rules whose pattern ends in `prefix*` at a node, where the rest of the path begins with that.
        private func appendPrefixed(_ at: Int32, _ rest: ByteView, _ found: inout [Int32]) {
            var next = nodes[Int(at)].lengths
            while next >= 0 {
                let length = lengths[Int(next)]
                next = length.next
                guard rest.count >= Int(length.count) else { continue }
                let prefix = rest.slice(0, Int(length.count))
                let child = child(hash(prefix, at), prefix, isPrefix: true, of: at)
                if child >= 0 { appendEnds(child, &found) }
            }
        }

        /// Appends the rules whose pattern ends at a node.
        private func appendEnds(_ node: Int32, _ found: inout [Int32]) {
            var here = nodes[Int(node)].here.first
            while here >= 0 {
                found.append(ends[Int(here)].rule)
                here = ends[Int(here)].next
            }
        }
    }
}
