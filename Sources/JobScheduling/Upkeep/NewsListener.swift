import Bytes
import EventLoops
import Redis
import Services

/// Hears what is published to every process: jobs that are to end, queues that are new. What a lost message would have
/// said comes with the next heartbeat, or the next look at the list of queues.
final class NewsListener {
    private let subscriber: RedisSubscriber

    /// - Parameter hear: a word (`cancel`, `preempt`, `queue`), a queue, and a job's number where there is one.
    init(context: ServiceContext, hear: @escaping (_ word: String, QueueName, _ number: Int?) -> Void) {
        subscriber = RedisSubscriber(of: context.redis)
        subscriber.subscribe(context.process.prefix + "jobs:news") { message in
            let words = message.string.split(separator: " ").map(String.init)
            guard words.count >= 2, let queue = QueueName(words[1]) else { return }
            hear(words[0], queue, words.count > 2 ? Int(words[2]) : nil)
        }
    }

    func start() { subscriber.start() }

    func stop() { subscriber.close() }
}
