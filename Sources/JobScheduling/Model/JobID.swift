import Bytes

/// Names a job: its queue, and its number there (`default-000000000042`). The queue is the tag of the slot in which all
/// of the job lies.
public struct JobID: Sendable, Hashable, CustomStringConvertible {
    public let queue: QueueName
    public let number: Int

    public init(queue: QueueName, number: Int) {
        self.queue = queue
        self.number = number
    }

    /// nil for text that names no job.
    public init?(_ text: String) {
        guard let dash = text.lastIndex(of: "-"), let queue = QueueName(String(text[..<dash])) else { return nil }
        let digits = text[text.index(after: dash)...]
        guard digits.utf8.count == JobID.width, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(digits)
        else { return nil }
        self.init(queue: queue, number: number)
    }

    /// Digits of a number, so that equal deadlines keep the order of creation.
    static let width = 12

    /// The number as it stands in keys and sets.
    public var digits: String { JobID.digits(number) }

    static func digits(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }

    public var description: String { queue.text + "-" + digits }
}

/// Names an execution: its job and its fencing token (`default-000000000042.1700000000000001`).
public struct ExecutionID: Sendable, Hashable, CustomStringConvertible {
    public let job: JobID
    public let token: Int

    public init(job: JobID, token: Int) {
        self.job = job
        self.token = token
    }

    public init?(_ text: String) {
        guard let dot = text.lastIndex(of: "."), let job = JobID(String(text[..<dot])),
            let token = Int(text[text.index(after: dot)...]), token > 0
        else { return nil }
        self.init(job: job, token: token)
    }

    public var description: String { "\(job).\(token)" }
}

/// The name of a queue: 1 to 64 of `a-z 0-9 _ . -`, a letter or digit first.
public struct QueueName: Sendable, Hashable, CustomStringConvertible {
    public let text: String

    public static let standard = QueueName(checked: "default")

    private init(checked: String) { text = checked }

    public init?(_ text: String) {
        guard QueueName.isName(text) else { return nil }
        self.text = text
    }

    public var description: String { text }

    /// Whether `text` may name a queue, a type of job, or a pool.
    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, (1...64).contains(text.utf8.count), first != 0x5F, first != 0x2E,
            first != 0x2D
        else { return false }
        return text.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F || $0 == 0x2E || $0 == 0x2D
        }
    }
}
