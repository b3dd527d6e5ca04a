import Bytes
import JSON
import Services

/// Reads checks from JSON bodies straight into `CheckRequest`s: the hot path, so nothing is copied but text with escapes.
///
/// What it returns holds as long as the body and until the next `begin`.
final class CheckParser {
    static let longestIdentifier = 1024
    static let longestEndpoint = 2048

    private let arena = ByteArena()
    private let paths = EndpointPaths()
    private let scratch = ByteBuffer(capacity: 64)
    private var digests = KeyDigests()
    /// Whether the last check read asked for a receipt.
    private(set) var wantsReceipt = false

    /// Forgets what was read before.
    func begin() { arena.reset() }

    /// Reads one check.
    /// - Parameter path: where the check stands in the body, for messages (`checks[3].`).
    func parse(_ reader: inout JSONReader, path: @autoclosure () -> String = "") throws -> CheckRequest {
        var request = CheckRequest(identity: Identity(kind: .ip, value: .empty))
        var rank = Int.max
        wantsReceipt = false
        // A field's failure is told with its name, which is only put together then.
        func at<Value>(_ name: StaticString, _ read: () throws -> Value) throws -> Value {
            do { return try read() } catch let error as JSONError {
                throw CheckParser.problem(error, path() + "\(name)")
            }
        }
        func identify(_ kind: Identity.Kind, _ newRank: Int, _ value: ByteView) {
            if newRank < rank {
                rank = newRank
                request.identity = Identity(kind: kind, value: value)
            }
        }
        var keys = try reader.beginObject()
        while let key = try CheckParser.nextKey(&reader, &keys, path) {
            if key == "identifier" {
                identify(.id, 0, try at("identifier") { try text(&reader, "identifier", 1024, path) })
            } else if key == "endpoint" {
                let target: ByteView = try at("endpoint") { try text(&reader, "endpoint", 2048, path) }
                request.endpoint = try paths.endpoint(target, field: path() + "endpoint", in: arena)
            } else if key == "method" {
                request.method = capitals(try at("method") { try text(&reader, "method", 16, path) })
            } else if key == "cost" {
                request.cost = try at("cost") { try reader.readInt() }
                guard (1...CheckRequest.largestCost).contains(request.cost) else {
                    throw Problem.field(path() + "cost", "must be from 1 to \(CheckRequest.largestCost)")
                }
            } else if key == "apiKey" {
                let key = try at("apiKey") { try text(&reader, "apiKey", 1024, path) }
                identify(.key, 1, hashed(key))
            } else if key == "userId" {
                identify(.user, 2, try at("userId") { try text(&reader, "userId", 1024, path) })
            } else if key == "ip" {
                let value = try at("ip") { try text(&reader, "ip", 64, path) }
                guard let address = IPAddress(value) else {
                    throw Problem.field(path() + "ip", "must be an IPv4 or IPv6 address")
                }
                request.address = address
                let client = address.clientText().withByteView { arena.copy($0) }
                identify(.ip, 3, client)
            } else if key == "tier" {
                request.tier = try at("tier") { try text(&reader, "tier", 64, path) }
            } else if key == "peek" {
                request.isPeek = try at("peek") { try reader.readBool() }
            } else if key == "receipt" {
                wantsReceipt = try at("receipt") { try reader.readBool() }
            } else {
                throw Problem.field(path() + key.string, "is not a field that is known here")
            }
        }
        guard rank != Int.max else {
            throw Problem.field(path() + "identifier", "is required (or apiKey, userId or ip)")
        }
        return request
    }

    private static func nextKey(
        _ reader: inout JSONReader, _ keys: inout JSONKeys, _ path: () -> String
    ) throws -> JSONText? {
        do { return try reader.nextKey(&keys) } catch {
            guard error.kind == .repeatedKey, let key = error.field else { throw error }
            throw Problem.field(path() + key, "must not occur twice")
        }
    }

    /// The same for values that did not come in a hot body (query items, parsed JSON).
    func request(_ value: JSONValue, path: @autoclosure () -> String = "") throws -> CheckRequest {
        let buffer = ByteBuffer()
        value.write(to: buffer)
        let copy = arena.copy(buffer.view)
        var reader = JSONReader(copy)
        return try parse(&reader, path: path())
    }

    /// The hashed form of an API key, in the arena.
    func hashed(_ apiKey: ByteView) -> ByteView {
        scratch.removeAll()
        scratch.append(Identity.hashedKeyStart)
        digests.appendHex(apiKey, to: scratch)
        return arena.copy(scratch.view)
    }

    /// The endpoint of a request target, which holds as long as the target and until the next `begin`.
    func normalized(_ target: ByteView, field: @autoclosure () -> String) throws(Problem) -> Endpoint {
        try paths.normalize(target, field: field(), in: arena)
    }

    /// A method in capital letters, as rules have it.
    func capitals(_ method: ByteView) -> ByteView {
        guard method.buffer.contains(where: { $0 >= 0x61 && $0 <= 0x7A }) else { return method }
        let target = arena.allocate(method.count)
        for i in 0..<method.count {
            let byte = method[i]
            target[i] = byte >= 0x61 && byte <= 0x7A ? byte - 0x20 : byte
        }
        return ByteView(base: target, count: method.count)
    }

    /// A copy that holds until the next `begin`.
    func keep(_ bytes: ByteView) -> ByteView { arena.copy(bytes) }

    private func text(
        _ reader: inout JSONReader, _ name: StaticString, _ longest: Int, _ path: () -> String
    ) throws -> ByteView {
        let text = try reader.readString()
        var value = text.raw
        if text.hasEscapes {
            let buffer = ByteBuffer(capacity: text.raw.count)
            text.append(to: buffer)
            value = arena.copy(buffer.view)
            if value.buffer.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
                throw Problem.field(path() + "\(name)", "must not contain control characters")
            }
        }
        guard value.count > 0 else { throw Problem.field(path() + "\(name)", "must not be empty") }
        guard value.count <= longest else {
            throw Problem.field(path() + "\(name)", "must be at most \(longest) bytes long")
        }
        return value
    }

    private static func problem(_ error: JSONError, _ name: String) -> Problem {
        switch error.kind {
        case .wrongKind(let expected, _): .field(name, "must be \(expected.phrase)")
        case .notInteger: .field(name, "must be an integer")
        case .outOfRange: .field(name, "must be an integer within ±(2^53−1)")
        default: Problem(.invalidRequest, "the body is not the JSON that is expected: \(error.description)")
        }
    }
}

extension JSONKind {
    fileprivate var phrase: String {
        switch self {
        case .object: "an object"
        case .array: "an array"
        case .string: "a string"
        case .number: "an integer"
        case .bool: "true or false"
        case .null: "null"
        }
    }
}
