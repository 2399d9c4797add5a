//! The operations of the interfaces, by number, as the protocols' own documents call them: MS-SRVS, MS-WKST, MS-LSAD,
//! MS-LSAT, MS-SAMR, MS-SCMR, MS-TSCH, MS-RRP, MS-RPRN, MS-PAR, MS-EFSR, MS-NRPC, MS-EVEN, MS-EVEN6, MS-DFSNM,
//! MS-FSRVP, MS-RSP, MS-DRSR, MS-BKRP, MS-ICPR and MS-DSSP (each in its section 3.1.4 or so), C706 appendix O and P.

/// Number and name.
pub(crate) type Operation = (u16, &'static str);

/// Tasks, as once.
#[rustfmt::skip]
pub(crate) const ATSVC: &[Operation] = &[
    (0, "NetrJobAdd"), (1, "NetrJobDel"), (2, "NetrJobEnum"), (3, "NetrJobGetInfo"),
];

/// Keys of users.
#[rustfmt::skip]
pub(crate) const BKRP: &[Operation] = &[
    (0, "BackuprKey"),
];

/// Copies of a directory.
#[rustfmt::skip]
pub(crate) const DRSUAPI: &[Operation] = &[
    (0, "DRSBind"), (1, "DRSUnbind"), (3, "DRSGetNCChanges"), (12, "DRSCrackNames"),
    (16, "DRSDomainControllerInfo"),
];

/// The role in a domain.
#[rustfmt::skip]
pub(crate) const DSSETUP: &[Operation] = &[
    (0, "DsRolerGetPrimaryDomainInformation"),
];

/// Encrypted files.
#[rustfmt::skip]
pub(crate) const EFSRPC: &[Operation] = &[
    (0, "EfsRpcOpenFileRaw"), (1, "EfsRpcReadFileRaw"), (2, "EfsRpcWriteFileRaw"), (3, "EfsRpcCloseRaw"),
    (4, "EfsRpcEncryptFileSrv"), (5, "EfsRpcDecryptFileSrv"), (6, "EfsRpcQueryUsersOnFile"),
    (7, "EfsRpcQueryRecoveryAgents"), (8, "EfsRpcRemoveUsersFromFile"), (9, "EfsRpcAddUsersToFile"),
    (11, "EfsRpcNotSupported"), (12, "EfsRpcFileKeyInfo"), (13, "EfsRpcDuplicateEncryptionInfoFile"),
    (15, "EfsRpcAddUsersToFileEx"), (16, "EfsRpcFileKeyInfoEx"), (18, "EfsRpcGetEncryptedFileMetadata"),
    (19, "EfsRpcSetEncryptedFileMetadata"), (20, "EfsRpcFlushEfsCache"), (21, "EfsRpcEncryptFileExSrv"),
    (22, "EfsRpcQueryProtectors"),
];

/// Which interface is where.
#[rustfmt::skip]
pub(crate) const EPMAPPER: &[Operation] = &[
    (0, "ept_insert"), (1, "ept_delete"), (2, "ept_lookup"), (3, "ept_map"), (4, "ept_lookup_handle_free"),
    (5, "ept_inq_object"), (6, "ept_mgmt_delete"), (7, "ept_map_auth"),
];

/// Event logs, as once.
#[rustfmt::skip]
pub(crate) const EVENTLOG: &[Operation] = &[
    (0, "ElfrClearELFW"), (1, "ElfrBackupELFW"), (2, "ElfrCloseEL"), (4, "ElfrNumberOfRecords"),
    (5, "ElfrOldestRecord"), (7, "ElfrOpenELW"), (8, "ElfrRegisterEventSourceW"), (9, "ElfrOpenBELW"),
    (10, "ElfrReadELW"), (11, "ElfrReportEventW"),
];

/// Event logs.
#[rustfmt::skip]
pub(crate) const EVENTLOG6: &[Operation] = &[
    (0, "EvtRpcRegisterRemoteSubscription"), (2, "EvtRpcRemoteSubscriptionNext"),
    (4, "EvtRpcRegisterControllableOperation"), (5, "EvtRpcRegisterLogQuery"), (6, "EvtRpcClearLog"),
    (7, "EvtRpcExportLog"), (11, "EvtRpcQueryNext"), (12, "EvtRpcQuerySeek"), (13, "EvtRpcClose"),
    (17, "EvtRpcOpenLogHandle"), (19, "EvtRpcGetChannelList"),
];

/// Snapshots of shares.
#[rustfmt::skip]
pub(crate) const FSSAGENT: &[Operation] = &[
    (0, "GetSupportedVersion"), (1, "SetContext"), (2, "StartShadowCopySet"), (3, "AddToShadowCopySet"),
    (4, "CommitShadowCopySet"), (5, "ExposeShadowCopySet"), (6, "RecoveryCompleteShadowCopySet"),
    (7, "AbortShadowCopySet"), (8, "IsPathSupported"), (9, "IsPathShadowCopied"), (10, "GetShareMapping"),
    (11, "DeleteShareMapping"), (12, "PrepareShadowCopySet"),
];

/// Certificates.
#[rustfmt::skip]
pub(crate) const ICPR: &[Operation] = &[
    (0, "CertServerRequest"),
];

/// Shutdown.
#[rustfmt::skip]
pub(crate) const INITSHUTDOWN: &[Operation] = &[
    (0, "BaseInitiateShutdown"), (1, "BaseAbortShutdown"), (2, "BaseInitiateShutdownEx"),
];

/// Policy, names and their numbers.
#[rustfmt::skip]
pub(crate) const LSARPC: &[Operation] = &[
    (0, "LsarClose"), (2, "LsarEnumeratePrivileges"), (3, "LsarQuerySecurityObject"),
    (4, "LsarSetSecurityObject"), (6, "LsarOpenPolicy"), (7, "LsarQueryInformationPolicy"),
    (8, "LsarSetInformationPolicy"), (10, "LsarCreateAccount"), (11, "LsarEnumerateAccounts"),
    (13, "LsarEnumerateTrustedDomains"), (14, "LsarLookupNames"), (15, "LsarLookupSids"),
    (16, "LsarCreateSecret"), (17, "LsarOpenAccount"), (18, "LsarEnumeratePrivilegesAccount"),
    (19, "LsarAddPrivilegesToAccount"), (20, "LsarRemovePrivilegesFromAccount"),
    (23, "LsarGetSystemAccessAccount"), (24, "LsarSetSystemAccessAccount"), (28, "LsarOpenSecret"),
    (29, "LsarSetSecret"), (30, "LsarQuerySecret"), (31, "LsarLookupPrivilegeValue"),
    (32, "LsarLookupPrivilegeName"), (33, "LsarLookupPrivilegeDisplayName"), (34, "LsarDeleteObject"),
    (35, "LsarEnumerateAccountsWithUserRight"), (36, "LsarEnumerateAccountRights"),
    (37, "LsarAddAccountRights"), (38, "LsarRemoveAccountRights"), (42, "LsarStorePrivateData"),
    (43, "LsarRetrievePrivateData"), (44, "LsarOpenPolicy2"), (45, "LsarGetUserName"),
    (46, "LsarQueryInformationPolicy2"), (47, "LsarSetInformationPolicy2"),
    (50, "LsarEnumerateTrustedDomainsEx"), (53, "LsarQueryDomainInformationPolicy"), (57, "LsarLookupSids2"),
    (58, "LsarLookupNames2"), (68, "LsarLookupNames3"), (76, "LsarLookupSids3"), (77, "LsarLookupNames4"),
];

/// What every server says about itself.
#[rustfmt::skip]
pub(crate) const MGMT: &[Operation] = &[
    (0, "rpc__mgmt_inq_if_ids"), (1, "rpc__mgmt_inq_stats"), (2, "rpc__mgmt_is_server_listening"),
    (3, "rpc__mgmt_stop_server_listening"), (4, "rpc__mgmt_inq_princ_name"),
];

/// Distributed shares.
#[rustfmt::skip]
pub(crate) const NETDFS: &[Operation] = &[
    (0, "NetrDfsManagerGetVersion"), (1, "NetrDfsAdd"), (2, "NetrDfsRemove"), (3, "NetrDfsSetInfo"),
    (4, "NetrDfsGetInfo"), (5, "NetrDfsEnum"), (6, "NetrDfsMove"), (10, "NetrDfsAddFtRoot"),
    (11, "NetrDfsRemoveFtRoot"), (12, "NetrDfsAddStdRoot"), (13, "NetrDfsRemoveStdRoot"),
    (14, "NetrDfsManagerInitialize"), (15, "NetrDfsAddStdRootForced"), (16, "NetrDfsGetDcAddress"),
    (17, "NetrDfsSetDcAddress"), (18, "NetrDfsFlushFtTable"), (19, "NetrDfsAdd2"), (20, "NetrDfsRemove2"),
    (21, "NetrDfsEnumEx"), (22, "NetrDfsSetInfo2"), (23, "NetrDfsAddRootTarget"),
    (24, "NetrDfsRemoveRootTarget"), (25, "NetrDfsGetSupportedNamespaceVersion"),
];

/// Logins of a domain.
#[rustfmt::skip]
pub(crate) const NETLOGON: &[Operation] = &[
    (0, "NetrLogonUasLogon"), (1, "NetrLogonUasLogoff"), (2, "NetrLogonSamLogon"), (3, "NetrLogonSamLogoff"),
    (4, "NetrServerReqChallenge"), (5, "NetrServerAuthenticate"), (7, "NetrDatabaseDeltas"),
    (8, "NetrDatabaseSync"), (11, "NetrGetDCName"), (12, "NetrLogonControl"), (13, "NetrGetAnyDCName"),
    (14, "NetrLogonControl2"), (15, "NetrServerAuthenticate2"), (16, "NetrDatabaseSync2"),
    (17, "NetrDatabaseRedo"), (18, "NetrLogonControl2Ex"), (19, "NetrEnumerateTrustedDomains"),
    (20, "DsrGetDcName"), (21, "NetrLogonGetCapabilities"), (22, "NetrLogonSetServiceBits"),
    (23, "NetrLogonGetTrustRid"), (24, "NetrLogonComputeServerDigest"), (25, "NetrLogonComputeClientDigest"),
    (26, "NetrServerAuthenticate3"), (27, "DsrGetDcNameEx"), (28, "DsrGetSiteName"),
    (29, "NetrLogonGetDomainInfo"), (30, "NetrServerPasswordSet2"), (31, "NetrServerPasswordGet"),
    (32, "NetrLogonSendToSam"), (33, "DsrAddressToSiteNamesW"), (34, "DsrGetDcNameEx2"),
    (35, "NetrLogonGetTimeServiceParentDomain"), (36, "NetrEnumerateTrustedDomainsEx"),
    (37, "DsrAddressToSiteNamesExW"), (38, "DsrGetDcSiteCoverageW"), (39, "NetrLogonSamLogonEx"),
    (40, "DsrEnumerateDomainTrusts"), (41, "DsrDeregisterDnsHostRecords"),
    (42, "NetrServerTrustPasswordsGet"), (43, "DsrGetForestTrustInformation"),
    (44, "NetrGetForestTrustInformation"), (45, "NetrLogonSamLogonWithFlags"), (46, "NetrServerGetTrustInfo"),
];

/// Printers, without waiting.
#[rustfmt::skip]
pub(crate) const PAR: &[Operation] = &[
    (0, "RpcAsyncOpenPrinter"), (20, "RpcAsyncClosePrinter"), (38, "RpcAsyncEnumPrinters"),
    (39, "RpcAsyncAddPrinterDriver"), (40, "RpcAsyncEnumPrinterDrivers"),
    (41, "RpcAsyncGetPrinterDriverDirectory"),
];

/// Accounts.
#[rustfmt::skip]
pub(crate) const SAMR: &[Operation] = &[
    (0, "SamrConnect"), (1, "SamrCloseHandle"), (2, "SamrSetSecurityObject"), (3, "SamrQuerySecurityObject"),
    (5, "SamrLookupDomainInSamServer"), (6, "SamrEnumerateDomainsInSamServer"), (7, "SamrOpenDomain"),
    (8, "SamrQueryInformationDomain"), (9, "SamrSetInformationDomain"), (10, "SamrCreateGroupInDomain"),
    (11, "SamrEnumerateGroupsInDomain"), (12, "SamrCreateUserInDomain"), (13, "SamrEnumerateUsersInDomain"),
    (14, "SamrCreateAliasInDomain"), (15, "SamrEnumerateAliasesInDomain"), (16, "SamrGetAliasMembership"),
    (17, "SamrLookupNamesInDomain"), (18, "SamrLookupIdsInDomain"), (19, "SamrOpenGroup"),
    (20, "SamrQueryInformationGroup"), (21, "SamrSetInformationGroup"), (22, "SamrAddMemberToGroup"),
    (23, "SamrDeleteGroup"), (24, "SamrRemoveMemberFromGroup"), (25, "SamrGetMembersInGroup"),
    (26, "SamrSetMemberAttributesOfGroup"), (27, "SamrOpenAlias"), (28, "SamrQueryInformationAlias"),
    (29, "SamrSetInformationAlias"), (30, "SamrDeleteAlias"), (31, "SamrAddMemberToAlias"),
    (32, "SamrRemoveMemberFromAlias"), (33, "SamrGetMembersInAlias"), (34, "SamrOpenUser"),
    (35, "SamrDeleteUser"), (36, "SamrQueryInformationUser"), (37, "SamrSetInformationUser"),
    (38, "SamrChangePasswordUser"), (39, "SamrGetGroupsForUser"), (40, "SamrQueryDisplayInformation"),
    (41, "SamrGetDisplayEnumerationIndex"), (44, "SamrGetUserDomainPasswordInformation"),
    (45, "SamrRemoveMemberFromForeignDomain"), (46, "SamrQueryInformationDomain2"),
    (47, "SamrQueryInformationUser2"), (48, "SamrQueryDisplayInformation2"),
    (49, "SamrGetDisplayEnumerationIndex2"), (50, "SamrCreateUser2InDomain"),
    (51, "SamrQueryDisplayInformation3"), (52, "SamrAddMultipleMembersToAlias"),
    (53, "SamrRemoveMultipleMembersFromAlias"), (54, "SamrOemChangePasswordUser2"),
    (55, "SamrUnicodeChangePasswordUser2"), (56, "SamrGetDomainPasswordInformation"), (57, "SamrConnect2"),
    (58, "SamrSetInformationUser2"), (62, "SamrConnect4"), (64, "SamrConnect5"), (65, "SamrRidToSid"),
    (66, "SamrSetDSRMPassword"), (67, "SamrValidatePassword"),
];

/// Accounts of tasks.
#[rustfmt::skip]
pub(crate) const SASEC: &[Operation] = &[
    (0, "SASetAccountInformation"), (1, "SASetNSAccountInformation"), (2, "SAGetNSAccountInformation"),
    (3, "SAGetAccountInformation"),
];

/// Tasks.
#[rustfmt::skip]
pub(crate) const SCHEDULE: &[Operation] = &[
    (0, "SchRpcHighestVersion"), (1, "SchRpcRegisterTask"), (2, "SchRpcRetrieveTask"),
    (3, "SchRpcCreateFolder"), (4, "SchRpcSetSecurity"), (5, "SchRpcGetSecurity"), (6, "SchRpcEnumFolders"),
    (7, "SchRpcEnumTasks"), (8, "SchRpcEnumInstances"), (9, "SchRpcGetInstanceInfo"),
    (10, "SchRpcStopInstance"), (11, "SchRpcStop"), (12, "SchRpcRun"), (13, "SchRpcDelete"),
    (14, "SchRpcRename"), (15, "SchRpcScheduledRuntimes"), (16, "SchRpcGetLastRunInfo"),
    (17, "SchRpcGetTaskInfo"), (18, "SchRpcGetNumberOfMissedRuns"), (19, "SchRpcEnableTask"),
];

/// Printers.
#[rustfmt::skip]
pub(crate) const SPOOLSS: &[Operation] = &[
    (0, "RpcEnumPrinters"), (1, "RpcOpenPrinter"), (2, "RpcSetJob"), (3, "RpcGetJob"), (4, "RpcEnumJobs"),
    (5, "RpcAddPrinter"), (6, "RpcDeletePrinter"), (7, "RpcSetPrinter"), (8, "RpcGetPrinter"),
    (9, "RpcAddPrinterDriver"), (10, "RpcEnumPrinterDrivers"), (11, "RpcGetPrinterDriver"),
    (12, "RpcGetPrinterDriverDirectory"), (13, "RpcDeletePrinterDriver"), (14, "RpcAddPrintProcessor"),
    (15, "RpcEnumPrintProcessors"), (16, "RpcGetPrintProcessorDirectory"), (17, "RpcStartDocPrinter"),
    (18, "RpcStartPagePrinter"), (19, "RpcWritePrinter"), (20, "RpcEndPagePrinter"), (21, "RpcAbortPrinter"),
    (22, "RpcReadPrinter"), (23, "RpcEndDocPrinter"), (24, "RpcAddJob"), (25, "RpcScheduleJob"),
    (26, "RpcGetPrinterData"), (27, "RpcSetPrinterData"), (28, "RpcWaitForPrinterChange"),
    (29, "RpcClosePrinter"), (30, "RpcAddForm"), (31, "RpcDeleteForm"), (32, "RpcGetForm"),
    (33, "RpcSetForm"), (34, "RpcEnumForms"), (35, "RpcEnumPorts"), (36, "RpcEnumMonitors"),
    (39, "RpcDeletePort"), (40, "RpcCreatePrinterIC"), (46, "RpcAddMonitor"), (47, "RpcDeleteMonitor"),
    (48, "RpcDeletePrintProcessor"), (52, "RpcResetPrinter"), (53, "RpcGetPrinterDriver2"),
    (56, "RpcFindClosePrinterChangeNotification"), (58, "RpcReplyOpenPrinter"), (59, "RpcRouterReplyPrinter"),
    (60, "RpcReplyClosePrinter"), (62, "RpcRemoteFindFirstPrinterChangeNotification"),
    (65, "RpcRemoteFindFirstPrinterChangeNotificationEx"), (66, "RpcRouterReplyPrinterEx"),
    (69, "RpcOpenPrinterEx"), (70, "RpcAddPrinterEx"), (71, "RpcSetPort"), (72, "RpcEnumPrinterData"),
    (77, "RpcSetPrinterDataEx"), (78, "RpcGetPrinterDataEx"), (84, "RpcDeletePrinterDriverEx"),
    (89, "RpcAddPrinterDriverEx"),
];

/// Shares and sessions.
#[rustfmt::skip]
pub(crate) const SRVSVC: &[Operation] = &[
    (8, "NetrConnectionEnum"), (9, "NetrFileEnum"), (10, "NetrFileGetInfo"), (11, "NetrFileClose"),
    (12, "NetrSessionEnum"), (13, "NetrSessionDel"), (14, "NetrShareAdd"), (15, "NetrShareEnum"),
    (16, "NetrShareGetInfo"), (17, "NetrShareSetInfo"), (18, "NetrShareDel"), (19, "NetrShareDelSticky"),
    (20, "NetrShareCheck"), (21, "NetrServerGetInfo"), (22, "NetrServerSetInfo"), (23, "NetrServerDiskEnum"),
    (24, "NetrServerStatisticsGet"), (25, "NetrServerTransportAdd"), (26, "NetrServerTransportEnum"),
    (27, "NetrServerTransportDel"), (28, "NetrRemoteTOD"), (29, "NetrServerSetServiceBits"),
    (30, "NetprPathType"), (31, "NetprPathCanonicalize"), (32, "NetprPathCompare"), (33, "NetprNameValidate"),
    (34, "NetprNameCanonicalize"), (35, "NetprNameCompare"), (36, "NetrShareEnumSticky"),
    (37, "NetrShareDelStart"), (38, "NetrShareDelCommit"), (39, "NetrpGetFileSecurity"),
    (40, "NetrpSetFileSecurity"), (41, "NetrServerTransportAddEx"), (43, "NetrDfsGetVersion"),
    (44, "NetrDfsCreateLocalPartition"), (45, "NetrDfsDeleteLocalPartition"),
    (46, "NetrDfsSetLocalVolumeState"), (48, "NetrDfsCreateExitPoint"), (49, "NetrDfsDeleteExitPoint"),
    (50, "NetrDfsModifyPrefix"), (51, "NetrDfsFixLocalVolume"), (52, "NetrDfsManagerReportSiteInfo"),
    (53, "NetrServerTransportDelEx"), (54, "NetrServerAliasAdd"), (55, "NetrServerAliasEnum"),
    (56, "NetrServerAliasDel"), (57, "NetrShareDelEx"),
];

/// Services.
#[rustfmt::skip]
pub(crate) const SVCCTL: &[Operation] = &[
    (0, "RCloseServiceHandle"), (1, "RControlService"), (2, "RDeleteService"), (3, "RLockServiceDatabase"),
    (4, "RQueryServiceObjectSecurity"), (5, "RSetServiceObjectSecurity"), (6, "RQueryServiceStatus"),
    (7, "RSetServiceStatus"), (8, "RUnlockServiceDatabase"), (9, "RNotifyBootConfigStatus"),
    (11, "RChangeServiceConfigW"), (12, "RCreateServiceW"), (13, "REnumDependentServicesW"),
    (14, "REnumServicesStatusW"), (15, "ROpenSCManagerW"), (16, "ROpenServiceW"),
    (17, "RQueryServiceConfigW"), (18, "RQueryServiceLockStatusW"), (19, "RStartServiceW"),
    (20, "RGetServiceDisplayNameW"), (21, "RGetServiceKeyNameW"), (24, "RCreateServiceA"),
    (27, "ROpenSCManagerA"), (28, "ROpenServiceA"), (31, "RStartServiceA"), (35, "REnumServiceGroupW"),
    (37, "RChangeServiceConfig2W"), (39, "RQueryServiceConfig2W"), (40, "RQueryServiceStatusEx"),
    (42, "REnumServicesStatusExW"), (45, "RCreateServiceWOW64W"), (47, "RNotifyServiceStatusChange"),
    (48, "RGetNotifyResults"), (49, "RCloseNotifyHandle"), (51, "RControlServiceExW"),
    (56, "RQueryServiceConfigEx"),
];

/// The registry.
#[rustfmt::skip]
pub(crate) const WINREG: &[Operation] = &[
    (0, "OpenClassesRoot"), (1, "OpenCurrentUser"), (2, "OpenLocalMachine"), (3, "OpenPerformanceData"),
    (4, "OpenUsers"), (5, "BaseRegCloseKey"), (6, "BaseRegCreateKey"), (7, "BaseRegDeleteKey"),
    (8, "BaseRegDeleteValue"), (9, "BaseRegEnumKey"), (10, "BaseRegEnumValue"), (11, "BaseRegFlushKey"),
    (12, "BaseRegGetKeySecurity"), (13, "BaseRegLoadKey"), (15, "BaseRegOpenKey"),
    (16, "BaseRegQueryInfoKey"), (17, "BaseRegQueryValue"), (18, "BaseRegReplaceKey"),
    (19, "BaseRegRestoreKey"), (20, "BaseRegSaveKey"), (21, "BaseRegSetKeySecurity"), (22, "BaseRegSetValue"),
    (23, "BaseRegUnLoadKey"), (26, "BaseRegGetVersion"), (27, "OpenCurrentConfig"),
    (29, "BaseRegQueryMultipleValues"), (31, "BaseRegSaveKeyEx"), (32, "OpenPerformanceText"),
    (33, "OpenPerformanceNlsText"), (34, "BaseRegQueryMultipleValues2"), (35, "BaseRegDeleteKeyEx"),
];

/// The machine's names.
#[rustfmt::skip]
pub(crate) const WKSSVC: &[Operation] = &[
    (0, "NetrWkstaGetInfo"), (1, "NetrWkstaSetInfo"), (2, "NetrWkstaUserEnum"), (5, "NetrWkstaTransportEnum"),
    (6, "NetrWkstaTransportAdd"), (8, "NetrUseAdd"), (9, "NetrUseGetInfo"), (10, "NetrUseDel"),
    (11, "NetrUseEnum"), (13, "NetrWorkstationStatisticsGet"), (20, "NetrGetJoinInformation"),
    (22, "NetrJoinDomain2"), (23, "NetrUnjoinDomain2"), (24, "NetrRenameMachineInDomain2"),
    (25, "NetrValidateName2"), (26, "NetrGetJoinableOUs2"), (27, "NetrAddAlternateComputerName"),
    (28, "NetrRemoveAlternateComputerName"), (29, "NetrSetPrimaryComputerName"),
    (30, "NetrEnumerateComputerNames"),
];
