import Bytes
import Digests
import HTTP

/// `X-Request-Id`: the client's own, or one that is made, so that an answer can be named when it is asked about.
enum RequestID {
    private static let longest = 128
    private static let field: StaticString = "X-Request-Id: "

    /// Has the answer carry it. A client's own must be visible ASCII: it goes into logs, too, and from there anywhere.
    static func stash(_ exchange: Exchange) {
        exchange.stashHeaderLines { lines in
            lines.append(field)
            if let sent = exchange.header("x-request-id"), isHarmless(sent) {
                lines.append(sent)
            } else {
                RandomID.appendHex(bytes: 8, to: lines)
            }
            lines.append("\r\n")
        }
    }

    /// The one that the answer will carry; empty when none was stashed.
    static func text(of exchange: Exchange) -> String {
        let lines = exchange.stashed
        guard lines.hasPrefix(field), let end = lines.firstIndex(of: 0x0D) else { return "" }
        return lines.slice(field.utf8CodeUnitCount, end).string
    }

    private static func isHarmless(_ text: ByteView) -> Bool {
        guard (1...longest).contains(text.count) else { return false }
        for byte in text.buffer where byte <= 0x20 || byte >= 0x7F { return false }
        return true
    }
}
