import Bytes
import Digests
import HTTP

/// `X-Request-Id`: the client's own, or one that is made, so that an answer can be named when it is asked about.
enum RequestID {
    private static let longest = 128

    static func stash(_ exchange: Exchange) {
        if let sent = exchange.header("x-request-id"), (1...longest).contains(sent.count) {
            exchange.stashHeader("X-Request-Id") { $0.append(sent) }
        } else {
            exchange.stashHeaderLines {
                $0.append("X-Request-Id: ")
                RandomID.appendHex(bytes: 8, to: $0)
                $0.append("\r\n")
            }
        }
    }
}
