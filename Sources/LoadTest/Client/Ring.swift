/// A first-in, first-out queue that grows and never shrinks.
struct Ring<Element> {
    private var slots: [Element?]
    private var first = 0
    private(set) var count = 0

    init(capacity: Int = 16) {
        slots = Array(repeating: nil, count: max(capacity, 1))
    }

    var isEmpty: Bool { count == 0 }

    mutating func append(_ element: Element) {
        if count == slots.count { grow() }
        var at = first + count
        if at >= slots.count { at -= slots.count }
        slots[at] = element
        count += 1
    }

    mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        let element = slots[first].take()
        first += 1
        if first == slots.count { first = 0 }
        count -= 1
        return element
    }

    private mutating func grow() {
        var larger: [Element?] = []
        larger.reserveCapacity(slots.count * 2)
        for i in 0..<count { larger.append(slots[(first + i) % slots.count]) }
        larger += Array(repeating: nil, count: slots.count * 2 - count)
        slots = larger
        first = 0
    }
}
