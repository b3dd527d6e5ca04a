import Bytes
import Services

/// Reduces a request target to the path that rules are written for: no query, percent-decoded once, dot segments
/// removed (RFC 3986, 5.2.4), so that `/a/%62/../c` cannot slip past a rule for `/a/c`. Adjacent slashes are one, as they
/// are to nginx, Traefik and Caddy: they would serve `/a//c` as `/a/c`, too.
final class NormalizedPath {
    private let decoded = ByteBuffer(capacity: 1024)
    private let result = ByteBuffer(capacity: 1024)

    /// The result holds until the next call.
    func normalize(_ target: ByteView) throws(Problem) -> ByteView {
        let path = pathPart(target)
        guard path.count <= 8192 else { throw .field("X-Original-URI", "must be at most 8192 bytes long") }
        if isPlain(path) { return path }
        decode(path)
        removeDotSegments()
        return result.view
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
