import Bytes
import Digests
import HTTP

/// A request's `Idempotency-Key`: under one key, one effect and one answer for 24 hours.
///
/// The answer is recorded by the step that has the effect, in the effect's own slot, so that there is never one without
/// the other. A record reads `<digest of the body> <status> <body of the answer>`.
public struct IdempotencyKey: Sendable {
    public static let keptMs = 86_400_000

    /// Names the record: a digest of who asked, for what, and the key itself.
    public let name: String
    /// Digest of the request's body, which tells a repeated request from another one under the same key.
    public let bodyDigest: String

    /// nil when the request has none.
    public init?(_ exchange: Exchange, caller: Caller) throws(Problem) {
        guard let name = try IdempotencyKey.name(exchange, caller) else { return nil }
        self.name = name
        bodyDigest = IdempotencyKey.digest(exchange.body)
    }

    /// The same for routes that take large bodies, whose digest is made on another thread.
    public static func ofLargeBody(_ exchange: Exchange, caller: Caller) async throws -> IdempotencyKey? {
        guard let name = try name(exchange, caller) else { return nil }
        return IdempotencyKey(name: name, bodyDigest: try await exchange.bodyOffLoop { digest($0) })
    }

    private init(name: String, bodyDigest: String) {
        self.name = name
        self.bodyDigest = bodyDigest
    }

    private static func name(_ exchange: Exchange, _ caller: Caller) throws(Problem) -> String? {
        guard let key = exchange.header("idempotency-key") else { return nil }
        guard (1...255).contains(key.count) else {
            throw .field("Idempotency-Key", "must be 1 to 255 bytes long")
        }
        let scope = ByteBuffer()
        scope.append("\(caller.name)\n\(exchange.method.name)\n")
        scope.append(exchange.path)
        scope.append("\n")
        scope.append(key)
        return digest(scope.view)
    }

    /// What is kept of an answer.
    public func record(status: Int, body: String) -> String { "\(bodyDigest) \(status) \(body)" }

    /// The answer that was given to the same request before; another body under the same key is refused.
    public func answer(in record: String) throws(Problem) -> (status: Int, body: String) {
        let parts = record.split(separator: " ", maxSplits: 2).map(String.init)
        guard parts.count == 3, let status = Int(parts[1]) else {
            throw Problem(.internalError, "the record of an earlier answer cannot be read")
        }
        guard parts[0] == bodyDigest else {
            throw .impossible("Idempotency-Key", "was used before with another body")
        }
        return (status, parts[2])
    }

    private static func digest(_ bytes: ByteView) -> String {
        let text = ByteBuffer(capacity: 64)
        SHA256.hash(bytes).withByteView { text.append(hex: $0.slice(0, 16)) }
        return text.view.string
    }
}
