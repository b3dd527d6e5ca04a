extension JobKindDefinition {
    /// The kinds that come with Quartermaster.
    public static let standard = standard()

    /// The kinds that come with Quartermaster, with what the executable supplies to them.
    /// - Parameters:
    ///   - reports: figures for `report_generation`, besides those of the queues.
    ///   - sinks: where `data_processing` may hand rows.
    public static func standard(reports: [ReportSource] = [], sinks: [DataSink] = []) -> [JobKindDefinition] {
        [
            JobKindDefinition(SimulatedKind.self), JobKindDefinition(HTTPKind.self),
            JobKindDefinition(EmailKind.self), JobKindDefinition(CommandKind.self),
            JobKindDefinition(FileCleanupKind.self),
            JobKindDefinition(DataProcessingKind.self) { try DataProcessingKind(context: $0, sinks: sinks) },
            JobKindDefinition(ReportKind.self) { ReportKind(context: $0, sources: reports + [.queues]) },
        ]
    }
}
