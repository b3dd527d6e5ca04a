import Services

/// Where a page of a list of jobs begins: behind a job's place in one of the sets of a queue. A place is by score and number,
/// so that it stays where it is when jobs before it leave the set.
struct JobPlace: Equatable, CustomStringConvertible {
    let queue: QueueName
    let set: String
    let score: Int
    let number: Int

    /// nil where one of them is none that a job can have.
    init?(queue: QueueName, set: String, score: String, number: String) {
        guard let score = JobPlace.score(score), let number = Digits.int(number, most: JobID.width) else { return nil }
        self.queue = queue
        self.set = set
        self.score = score
        self.number = number
    }

    /// Reads a cursor; nil for text that is none. Whether the queue has such a set is for the list to say.
    init?(_ cursor: String) {
        let parts = cursor.split(separator: "~", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, let queue = QueueName(parts[0]) else { return nil }
        self.init(queue: queue, set: parts[1], score: parts[2], number: parts[3])
    }

    var description: String { "\(queue.text)~\(set)~\(score)~\(number)" }

    /// A time in milliseconds, which may be before 1970.
    private static func score(_ text: String) -> Int? {
        if text.hasPrefix("-") { return Digits.int(text.dropFirst(), most: 15).map { -$0 } }
        return Digits.int(text, most: 15)
    }
}
