import Bytes
import Services

/// Reduces a request target to the path that rules are written for: no query, percent-decoded once, dot segments
/// removed (RFC 3986, 5.2.4), so that `/a/%62/../c` cannot slip past a rule for `/a/c`. Adjacent slashes are one, as they
/// are to nginx, Traefik and Caddy: they would serve `/a//c` as `/a/c`, too.
final class EndpointPaths {
    private let decoded = ByteBuffer(capacity: 1024)
    private let result = ByteBuffer(capacity: 1024)

    static let longestPath = 8192

    /// What a caller of ours names: a path or an absolute URI is normalized, any other text is a name.
    func endpoint(_ text: ByteView, field: @autoclosure () -> String, in arena: ByteArena) throws(Problem) -> Endpoint {
        guard text.hasPrefix("/") || authorityStart(text) != nil else { return Endpoint(name: text) }
        return try normalize(text, field: field(), in: arena)
    }

    /// - Parameters:
    ///   - field: where the target stands, for the refusal of one that is too long.
    ///   - arena: holds what is not a part of `target`.
    func normalize(
        _ target: ByteView, field: @autoclosure () -> String, in arena: ByteArena
    ) throws(Problem) -> Endpoint {
        var path = pathPart(target)
        guard path.count <= EndpointPaths.longestPath else {
            throw .field(field(), "must be at most \(EndpointPaths.longestPath) bytes long")
        }
        if !isPlain(path) {
            decode(path)
            removeDotSegments()
            path = arena.copy(result.view)
        }
        return Endpoint(written: path, folded: fold(path, in: arena))
    }

    private func fold(_ path: ByteView, in arena: ByteArena) -> ByteView {
        let hasSlash = path.count > 1 && path[path.count - 1] == UInt8(ascii: "/")
        let folded = hasSlash ? path.slice(0, path.count - 1) : path
        guard folded.buffer.contains(where: { $0 >= 0x41 && $0 <= 0x5A }) else { return folded }
        let target = arena.allocate(folded.count)
        for i in 0..<folded.count { target[i] = folded[i].asciiLowercased }
        return ByteView(base: target, count: folded.count)
    }

    /// Without scheme and authority, query and fragment.
    private func pathPart(_ target: ByteView) -> ByteView {
        var path = target
        if let end = path.firstIndex(of: UInt8(ascii: "?")) { path = path.slice(0, end) }
        if let end = path.firstIndex(of: UInt8(ascii: "#")) { path = path.slice(0, end) }
        if !path.hasPrefix("/"), let authority = authorityStart(path) {
            let rest = path.dropFirst(authority)
            path = rest.firstIndex(of: UInt8(ascii: "/")).map { rest.dropFirst($0) } ?? .empty
        }
        return path.isEmpty ? ByteView("/") : path
    }

    /// Where the authority of an absolute URI begins, whatever its scheme: proxies take any, and in capitals as well.
    private func authorityStart(_ path: ByteView) -> Int? {
        guard let colon = path.firstIndex(of: UInt8(ascii: ":")), path.dropFirst(colon).hasPrefix("://") else {
            return nil
        }
        return colon + 3
    }

    /// Whether nothing needs to be done: no escapes, no segment that begins with a dot, none that is empty.
    private func isPlain(_ path: ByteView) -> Bool {
        var previous: UInt8 = 0
        for i in 0..<path.count {
            let byte = path[i]
            if byte == UInt8(ascii: "%") { return false }
            if previous == UInt8(ascii: "/"), byte == UInt8(ascii: ".") || byte == UInt8(ascii: "/") { return false }
            previous = byte
        }
        return true
    }

    private func decode(_ path: ByteView) {
        decoded.removeAll()
        var i = 0
        while i < path.count {
            if path[i] == UInt8(ascii: "%"), i + 2 < path.count, let high = hex(path[i + 1]), let low = hex(path[i + 2])
            {
                decoded.append(high << 4 | low)
                i += 3
            } else {
                decoded.append(path[i])
                i += 1
            }
        }
    }

    private func removeDotSegments() {
        result.removeAll()
        let path = decoded.view
        var i = 0
        while i < path.count {
            let end = path.firstIndex(of: UInt8(ascii: "/"), from: i + 1) ?? path.count
            let segment = path.slice(i, end)
            let isLast = end == path.count
            if segment == "/." || segment == "/" {
                if isLast { result.append("/") }
            } else if segment == "/.." {
                result.truncate(to: result.view.lastIndex(of: UInt8(ascii: "/")) ?? 0)
                if isLast { result.append("/") }
            } else {
                result.append(segment)
            }
            i = end
        }
        if result.isEmpty { result.append("/") }
    }

    private func hex(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x61 + 10
        case 0x41...0x46: digit - 0x41 + 10
        default: nil
        }
    }
}
