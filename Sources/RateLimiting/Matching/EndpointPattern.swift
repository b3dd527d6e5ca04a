import Bytes

/// A rule's `match.endpoint`: exact segments, `{name}` or `:name` for any one segment, `*` at the end for any rest.
struct EndpointPattern: Sendable, Hashable {
    enum Segment: Sendable, Hashable {
        case literal([UInt8])
        case parameter
    }

    let segments: [Segment]
    /// The text before a final `*` in the last segment; nil when the pattern ends without one.
    let restPrefix: [UInt8]?

    /// Segments that a pattern may have, and of a path that are looked at; bounds the work that a request can cause.
    static let mostSegments = 64

    /// nil when the text is no pattern: no `/` at its start, a `*` before its end, too many segments.
    init?(_ text: String) {
        guard text.hasPrefix("/") else { return nil }
        var parts = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { [UInt8]($0.utf8) }
        if parts.last?.last == UInt8(ascii: "*") {
            restPrefix = Array(parts.removeLast().dropLast())
        } else {
            restPrefix = nil
        }
        guard !parts.contains(where: { $0.contains(UInt8(ascii: "*")) }),
            restPrefix?.contains(UInt8(ascii: "*")) != true, parts.count <= EndpointPattern.mostSegments
        else { return nil }
        segments = parts.map { part in
            let isBraced = part.count > 2 && part.first == UInt8(ascii: "{") && part.last == UInt8(ascii: "}")
            let isColon = part.count > 1 && part.first == UInt8(ascii: ":")
            return isBraced || isColon ? .parameter : .literal(part)
        }
    }

    /// The pattern for paths as `Endpoint.folded` has them.
    var folded: EndpointPattern {
        var parts = segments.map { segment -> Segment in
            if case .literal(let text) = segment { .literal(text.map(\.asciiLowercased)) } else { segment }
        }
        if restPrefix == nil, parts.count > 1, parts.last == .literal([]) { parts.removeLast() }
        return EndpointPattern(segments: parts, restPrefix: restPrefix?.map(\.asciiLowercased))
    }

    private init(segments: [Segment], restPrefix: [UInt8]?) {
        self.segments = segments
        self.restPrefix = restPrefix
    }

    /// Whether a path is meant, to the letter.
    func matches(_ path: ByteView) -> Bool {
        guard path.hasPrefix("/") else { return false }
        var rest = path.dropFirst(1)
        for (i, segment) in segments.enumerated() {
            let end = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.count
            let text = rest.slice(0, end)
            switch segment {
            case .literal(let wanted): guard wanted.withByteView({ $0 == text }) else { return false }
            case .parameter: guard !text.isEmpty else { return false }
            }
            if end == rest.count { return i == segments.count - 1 && restPrefix == nil }
            rest = rest.dropFirst(end + 1)
        }
        return restPrefix?.withByteView { rest.hasPrefix($0) } ?? false
    }

    /// How specific the pattern is: exact before parameters before prefixes, longer before shorter.
    var specificity: Int {
        let literals = segments.count { if case .literal = $0 { true } else { false } }
        let isExact = literals == segments.count && restPrefix == nil
        let base = isExact ? 2_000_000 : restPrefix == nil ? 1_000_000 : 0
        return base + literals * 1000 + segments.count * 10 + (restPrefix?.count ?? 0)
    }
}
