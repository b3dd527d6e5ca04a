import EventLoops
import Glibc
import JSON
import Synchronization

/// A job's data on their way through the steps: goes on, a slice at a time, on whichever thread of the pool.
final class DataRun: Sendable {
    enum Step: Sendable {
        case more(read: Int)
        case done(DataOutcome)
        case failed(JobFailure)
    }

    private let config: DataProcessingKind.Config
    private let root: String?
    private let state = Mutex(State())

    static let mostRows = 100_000
    static let mostFileBytes = 16_777_216
    private static let sliceUs: Int64 = 20_000

    init(_ config: DataProcessingKind.Config, root: String?) {
        self.config = config
        self.root = root
    }

    private struct State {
        var reader: DataReader?
        var outcome = DataOutcome()
        /// Of each step that aggregates.
        var groups: [Int: DataAggregate.Groups] = [:]
    }

    /// Goes on for about 20 ms.
    func slice() -> Step {
        state.withLock { state in
            do throws(JobFailure) {
                var reader: DataReader
                if let begun = state.reader { reader = begun } else { reader = try open() }
                // Out of the state, so that the data are in one place and not copied.
                state.reader = nil
                let endUs = MonotonicClock.nowUs() + DataRun.sliceUs
                repeat {
                    guard let record = reader.next() else {
                        try flush(&state)
                        return .done(state.outcome)
                    }
                    state.outcome.read += 1
                    switch record.row {
                    case .success(let row): try push(row, line: record.line, from: 0, &state)
                    case .failure(let error): try state.outcome.refuse(error, line: record.line, config)
                    }
                } while MonotonicClock.nowUs() < endUs
                state.reader = reader
                return .more(read: state.outcome.read)
            } catch { return .failed(error) }
        }
    }

    // MARK: Steps

    /// Where a row ends: behind the last step, or in one.
    private enum Place { case left(DataRow), filtered, grouped(step: Int) }

    private func push(
        _ row: DataRow, line: Int?, from first: Int, _ state: inout State
    ) throws(JobFailure) {
        let place: Place
        do { place = try pass(row, from: first, &state) } catch {
            return try state.outcome.refuse(error, line: line, config)
        }
        switch place {
        case .filtered: state.outcome.filtered += 1
        case .grouped(let step):
            guard state.groups[step, default: .init()].count <= DataAggregate.mostGroups else {
                throw JobFailure("there are more than \(DataAggregate.mostGroups) groups", isPermanent: true)
            }
        case .left(let row):
            guard state.outcome.rows.count < DataRun.mostRows else {
                throw JobFailure("more than \(DataRun.mostRows) rows are left", isPermanent: true)
            }
            state.outcome.rows.append(row.json)
        }
    }

    private func pass(_ given: DataRow, from first: Int, _ state: inout State) throws(RowError) -> Place {
        var row = given
        for at in first..<config.steps.count {
            switch config.steps[at] {
            case .validate(let validation): try validation.check(&row, isText: config.format == .csv)
            case .map(let fields):
                var made = DataRow()
                for field in fields {
                    if let value = try field.expression.value(row) { made.fields.append(.init(field.name, value)) }
                }
                row = made
            case .filter(let filter):
                if !filter.holds(row) { return .filtered }
            case .aggregate(let aggregate):
                try state.groups[at, default: .init()].add(row, aggregate)
                return .grouped(step: at)
            }
        }
        return .left(row)
    }

    /// Lets the groups of each step go through those behind it.
    private func flush(_ state: inout State) throws(JobFailure) {
        for (at, step) in config.steps.enumerated() {
            guard case .aggregate(let aggregate) = step, let groups = state.groups.removeValue(forKey: at) else {
                continue
            }
            for row in groups.rows(aggregate) { try push(row, line: nil, from: at + 1, &state) }
        }
    }

    // MARK: Reading

    private func open() throws(JobFailure) -> DataReader {
        let bytes = try bytes()
        do { return try DataReader(bytes, config.format, delimiter: config.delimiter) } catch {
            throw JobFailure("line 1: \(error.text)", isPermanent: true)
        }
    }

    private func bytes() throws(JobFailure) -> [UInt8] {
        guard let parts = config.file else { return Array(config.data.utf8) }
        guard let root else { throw JobFailure("files are off on this worker") }
        // O_NONBLOCK: a named pipe would wait for its writer.
        let descriptor: Int32
        switch Folders.open(parts, below: root, O_RDONLY | O_NONBLOCK) {
        case .failure(let sought): throw sought.failure
        case .success(let opened): descriptor = opened
        }
        defer { close(descriptor) }
        let name = parts.joined(separator: "/")
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw JobFailure("\(name) is no file", isPermanent: true)
        }
        guard status.st_size <= DataRun.mostFileBytes else {
            throw JobFailure("\(name) is larger than \(DataRun.mostFileBytes) bytes", isPermanent: true)
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + count, $0.count - count) }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw JobFailure("cannot read \(name): \(String(cString: strerror(errno)))") }
            if got == 0 { break }
            count += got
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}

/// What came of the data.
struct DataOutcome: Sendable {
    /// Rows that were there, those that could not be read included.
    var read = 0
    var invalid = 0
    var filtered = 0
    /// What is left, and goes to the sink.
    var rows: [JSONValue] = []
    private var errors: [JSONValue] = []

    private static let mostErrors = 100
    static let mostResultRows = 1000
    static let mostResultBytes = 262_144

    mutating func refuse(_ error: RowError, line: Int?, _ config: DataProcessingKind.Config) throws(JobFailure) {
        if config.failsOnInvalid {
            throw JobFailure((line.map { "line \($0): " } ?? "") + error.text, isPermanent: true)
        }
        invalid += 1
        guard errors.count < DataOutcome.mostErrors else { return }
        errors.append(
            .object([
                .init("line", line.map(JSONValue.int) ?? .null),
                .init("error", .string(String(error.text.prefix(200)))),
            ]))
    }

    /// A run that has done nothing is no success: rules that no row keeps are wrong, or the rows are.
    var nothingIsValid: JobFailure? {
        guard read > 0, invalid == read else { return nil }
        let first = errors.first.map { ", the first for: \($0.text())" } ?? ""
        return JobFailure("all \(read) rows are invalid\(first)", isPermanent: true)
    }

    /// The counts and the errors, with what stands for the rows behind them.
    func json(_ members: [JSONValue.Member]) -> JSONValue {
        .object(
            [
                .init("read", .int(read)), .init("invalid", .int(invalid)), .init("filtered", .int(filtered)),
                .init("written", .int(rows.count)), .init("errors", .array(errors)),
            ] + members)
    }

    /// The first rows, as many as a result may hold.
    func cutRows() -> [JSONValue.Member] {
        var bytes = 0
        let kept = rows.prefix(DataOutcome.mostResultRows).prefix { row in
            bytes += row.text().utf8.count + 1
            return bytes <= DataOutcome.mostResultBytes
        }
        let isCut: [JSONValue.Member] = kept.count < rows.count ? [.init("rowsCut", .bool(true))] : []
        return [.init("rows", .array(Array(kept)))] + isCut
    }
}
