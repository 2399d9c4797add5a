@echo off
rem Logon script
net use S: /delete /y >nul 2>&1
net use S: \\files01\Data /persistent:no
net use P: \\files01\Projects /persistent:no
rem scanners have no account of their own
net use X: \\files01\Scans /user:CORP\svc-scan Scan2Folder! /persistent:no
