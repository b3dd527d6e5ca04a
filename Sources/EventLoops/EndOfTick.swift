/// What is done once per tick, in this order, after callbacks and Swift jobs have run.
public enum EndOfTickPhase: Int, CaseIterable {
    /// HTTP connections write the answers that are ready, and may then parse the next pipelined request.
    case responses
    /// What was gathered during the tick becomes commands (decisions for one key become one call).
    case gather
    /// Redis connections write the commands of the tick.
    case commands
}

/// Something that asked to be called at the end of the tick.
public protocol EndOfTick: AnyObject {
    func endOfTick()
}

/// One list per phase. Taking a list leaves a spare one in its place, so that a steady state allocates nothing.
struct EndOfTickQueues {
    private var queues: [[EndOfTick]] = EndOfTickPhase.allCases.map { _ in [] }
    private var spare: [EndOfTick] = []

    mutating func append(_ item: EndOfTick, to phase: EndOfTickPhase) {
        queues[phase.rawValue].append(item)
    }

    /// Takes the items of the first phase that has any, or nil.
    mutating func takeFirstNonEmpty() -> [EndOfTick]? {
        for i in queues.indices where !queues[i].isEmpty {
            var taken: [EndOfTick] = []
            swap(&taken, &spare)
            swap(&taken, &queues[i])
            return taken
        }
        return nil
    }

    /// Gives a taken list's memory back.
    mutating func recycle(_ items: consuming [EndOfTick]) {
        items.removeAll(keepingCapacity: true)
        spare = items
    }
}
