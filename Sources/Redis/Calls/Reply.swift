import Bytes
import CHiredis

/// A reply inside hiredis's memory: holds during the callback only.
public struct ReplyView {
    private let reply: UnsafePointer<redisReply>

    init(_ reply: UnsafePointer<redisReply>) { self.reply = reply }

    public var isNull: Bool { reply.pointee.type == REDIS_REPLY_NIL }
    public var isError: Bool { reply.pointee.type == REDIS_REPLY_ERROR }

    /// The number; 0 for other kinds.
    public var integer: Int { reply.pointee.type == REDIS_REPLY_INTEGER ? Int(reply.pointee.integer) : 0 }

    /// The text of a string, status or error; empty for other kinds.
    public var bytes: ByteView {
        switch reply.pointee.type {
        case REDIS_REPLY_STRING, REDIS_REPLY_STATUS, REDIS_REPLY_ERROR:
            ByteView(
                base: UnsafeRawPointer(reply.pointee.str).assumingMemoryBound(to: UInt8.self),
                count: Int(reply.pointee.len))
        default: .empty
        }
    }

    /// How many elements an array has; 0 for other kinds.
    public var count: Int { reply.pointee.type == REDIS_REPLY_ARRAY ? Int(reply.pointee.elements) : 0 }

    /// An element; null where the array has none at this place, or the reply is no array.
    public subscript(index: Int) -> ReplyView {
        guard index >= 0, index < count, let element = reply.pointee.element[index] else { return .null }
        return ReplyView(UnsafePointer(element))
    }

    // Unsafe because a view is not sendable; nobody ever writes to this one.
    private nonisolated(unsafe) static let null: ReplyView = {
        let nothing = UnsafeMutablePointer<redisReply>.allocate(capacity: 1)
        nothing.initialize(to: redisReply())
        nothing.pointee.type = REDIS_REPLY_NIL
        return ReplyView(UnsafePointer(nothing))
    }()

    /// A copy that may be kept.
    public var copy: RedisReply {
        switch reply.pointee.type {
        case REDIS_REPLY_INTEGER: .integer(integer)
        case REDIS_REPLY_STRING: .bytes(bytes.array)
        case REDIS_REPLY_STATUS: .status(bytes.string)
        case REDIS_REPLY_ERROR: .error(RedisError(reply: bytes))
        case REDIS_REPLY_ARRAY: .array((0..<count).map { self[$0].copy })
        default: .null
        }
    }
}

extension RedisError {
    /// The error that a reply carries: `WRONGTYPE Operation against …`.
    init(reply: ByteView) {
        let text = reply.string
        self = .server(code: String(text.prefix { $0 != " " }), message: text)
    }
}

/// A reply of one's own.
public enum RedisReply: Sendable, Equatable {
    case null
    case integer(Int)
    case bytes([UInt8])
    case status(String)
    case error(RedisError)
    case array([RedisReply])

    public var bytes: [UInt8]? { if case .bytes(let bytes) = self { bytes } else { nil } }

    /// Text of a string or a status.
    public var string: String? {
        switch self {
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        case .status(let text): text
        default: nil
        }
    }

    /// A number, also one that is written as text.
    public var int: Int? {
        switch self {
        case .integer(let number): number
        default: string.flatMap { Int($0) }
        }
    }

    /// The texts of an array; nil when it is none or holds something else.
    public var strings: [String]? {
        guard case .array(let elements) = self else { return nil }
        let texts = elements.compactMap(\.string)
        return texts.count == elements.count ? texts : nil
    }
}
