import Bytes
import Redis

/// An execution that has ended, until Redis has accepted it.
struct EndedExecution {
    enum Outcome {
        case completed, failed, permanent, timeout, cancelled, released

        var word: StaticString {
            switch self {
            case .completed: "completed"
            case .failed: "failed"
            case .permanent: "permanent"
            case .timeout: "timeout"
            case .cancelled: "cancelled"
            case .released: "released"
            }
        }
    }

    var number: Int
    var token: Int
    /// The job's type.
    var type: String
    var outcome: Outcome
    /// The result as JSON, or the error.
    var text: String
    var retryAfterMs: Int?
}

/// What the calls of a queue have in common: the keys of its scripts, and who tells which server has them.
final class ExchangeScope {
    let base: ByteBuffer
    let guardKey: ByteBuffer
    let redis: RedisClient

    init(base: String, redis: RedisClient) {
        let keys = QueueKeys.ofScript(base)
        self.base = ByteBuffer(capacity: keys[0].utf8.count)
        self.base.append(keys[0])
        guardKey = ByteBuffer(capacity: keys[1].utf8.count)
        guardKey.append(keys[1])
        self.redis = redis
    }
}

/// One call of a worker: what it has ended goes out, the next jobs come in.
final class ExchangeCall: RedisCall {
    let number: Int
    let most: Int
    let ended: [EndedExecution]
    let sentAtUs: Int64
    private let scope: ExchangeScope
    private let worker: String
    private let types: [String]
    private let jitter: Int
    private let receive: (ExchangeCall, Result<ReplyView, RedisError>) -> Void

    init(
        _ scope: ExchangeScope, worker: String, number: Int, most: Int, types: [String], ended: [EndedExecution],
        jitter: Int, sentAtUs: Int64, receive: @escaping (ExchangeCall, Result<ReplyView, RedisError>) -> Void
    ) {
        self.scope = scope
        self.worker = worker
        self.number = number
        self.most = most
        self.types = types
        self.ended = ended
        self.jitter = jitter
        self.sentAtUs = sentAtUs
        self.receive = receive
    }

    var route: RedisRoute { .key(scope.base.view) }

    func encode(to writer: RESPWriter) {
        writer.script(JobScripts.finishAndLease, keyCount: 2, argumentCount: 6 + types.count + 7 * ended.count)
        writer.argument(scope.base.view)
        writer.argument(scope.guardKey.view)
        writer.argument("" as StaticString)
        // Asked when it is sent, which may be more than once: the queue's server may have become another one.
        writer.argument(scope.redis.serverRunID(of: scope.base.view))
        writer.argument(worker)
        writer.argument(decimal: number)
        writer.argument(decimal: most)
        writer.argument(decimal: types.count)
        for type in types { writer.argument(type) }
        for execution in ended {
            ExchangeCall.appendDigits(execution.number, to: writer)
            writer.argument(decimal: execution.token)
            writer.argument(execution.type)
            writer.argument(execution.outcome.word)
            writer.argument(execution.text)
            if let ms = execution.retryAfterMs {
                writer.argument(decimal: ms)
            } else {
                writer.argument("" as StaticString)
            }
            writer.argument(decimal: jitter)
        }
    }

    func completed(_ result: Result<ReplyView, RedisError>) { receive(self, result) }

    /// A job's number in the width that it has in keys.
    private static func appendDigits(_ number: Int, to writer: RESPWriter) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var rest = number
            for i in stride(from: JobID.width - 1, through: 0, by: -1) {
                digits[i] = UInt8(0x30 + rest % 10)
                rest /= 10
            }
            writer.argument(ByteView(base: digits.baseAddress!, count: JobID.width))
        }
    }
}

extension ReplyView {
    /// A number, also one that is written as text; 0 for anything else.
    var number: Int {
        let bytes = bytes
        guard bytes.count > 0 else { return integer }
        var value = 0
        for i in 0..<bytes.count {
            let digit = bytes[i] &- 0x30
            guard digit < 10 else { return 0 }
            value = value &* 10 &+ Int(digit)
        }
        return value
    }
}
