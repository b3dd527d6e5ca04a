/// Names a batch: its queue, and what it is called there (`default.3f2a…`).
struct BatchID: CustomStringConvertible {
    let queue: QueueName
    let digest: String

    init(queue: QueueName, digest: String) {
        self.queue = queue
        self.digest = digest
    }

    init?(_ text: String) {
        guard let dot = text.lastIndex(of: "."), let queue = QueueName(String(text[..<dot])) else { return nil }
        let digest = text[text.index(after: dot)...]
        guard (1...64).contains(digest.utf8.count),
            digest.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        self.init(queue: queue, digest: String(digest))
    }

    var description: String { "\(queue.text).\(digest)" }
}
